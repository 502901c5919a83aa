"""The generation that a request for a dry run describes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.hosts import settings


@dataclass(frozen=True)
class RequestedGeneration:
    """Takes the place of the WebUI's `p` in the checks; with the defaults every method can act.

    is_known: True if the request describes a generation, False if it has units alone.
    hires_steps: of hires fix's second pass, 0 without it. checkpoint: the name in the request's
    override settings, or "". sd_model: the checkpoint, if it is in memory.
    """

    steps: int = 20
    hires_steps: int = 0
    cfg_scale: float = 7.0
    init_images: Sequence[object] = ("some picture",)
    denoising_strength: float = 1.0
    batch_size: int = 2
    refiner_checkpoint_info: object | None = None
    is_known: bool = False
    checkpoint: str = ""
    sd_model: Any = None

    def get_token_merging_ratio(self) -> float:
        """The ratio that the WebUI's settings have for such a generation."""
        return settings.token_merging_ratio(bool(self.init_images))
