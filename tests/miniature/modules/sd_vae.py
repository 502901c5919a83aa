"""Separate VAE files: none, every checkpoint keeps its own."""

from __future__ import annotations

vae_dict: dict[str, str] = {}
base_vae = None
loaded_vae_file: str | None = None
checkpoint_info = None


def get_loaded_vae_name() -> str | None:
    return None


def get_loaded_vae_hash() -> str | None:
    return None


def refresh_vae_list() -> None:
    vae_dict.clear()


def reload_vae_weights(sd_model=None, vae_file=None) -> None:
    pass
