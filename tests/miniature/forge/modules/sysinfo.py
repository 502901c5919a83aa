"""Reading and changing settings for the API and for override_settings."""

from __future__ import annotations

from typing import Any

from modules import sd_models, shared


def get_config() -> dict:
    return shared.opts.data


def checkpoint_change(name: str) -> bool:
    """Whether another checkpoint is chosen now. Nothing is loaded."""
    chosen = sd_models.get_closet_checkpoint_match(name)
    current = shared.opts.data.get("sd_model_checkpoint", "")
    if chosen == sd_models.get_closet_checkpoint_match(current):
        return False
    shared.opts.set("sd_model_checkpoint", name, run_callbacks=False)
    return True


def set_config(
    req: dict[str, Any], is_api: bool = False, run_callbacks: bool = True, save_config: bool = True
) -> None:
    for key, value in req.items():
        if value == shared.opts.data.get(key):
            continue
        if key != "sd_model_checkpoint":
            shared.opts.set(key, value, is_api=is_api, run_callbacks=run_callbacks)
            continue
        if value is not None and value not in sd_models.checkpoint_aliases:
            raise RuntimeError(f"model {value!r} not found")
        if checkpoint_change(value):
            sd_models.refresh_loading_parameters()
    if save_config:
        shared.opts.save(shared.config_filename)
