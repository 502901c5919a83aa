"""Writes the models of a study where a WebUI looks for them."""

from __future__ import annotations

from pathlib import Path

from .files import write_adapter, write_checkpoint, write_image_encoder
from .stages import Study


def write_family(study: Study, models: Path) -> list[Path]:
    """The files of the study's networks, as far as they are trained, under `models`."""
    return [
        write_checkpoint(
            models / "Stable-diffusion" / "world_sdxl.safetensors",
            study.mean("base"),
            study.mean("text"),
        ),
        write_image_encoder(models / "clip_vision" / "world_clip.safetensors", study.mean("image")),
        write_adapter(
            models / "ControlNet" / "ip-adapter_world_sdxl.safetensors", study.mean("adapter")
        ),
    ]
