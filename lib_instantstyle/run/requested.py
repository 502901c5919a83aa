"""The generation that a request asks for, where a plan is all that is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.hosts import settings


@dataclass(frozen=True)
class RequestedGeneration:
    """Stands for the WebUI's `p`; the defaults stand in no method's way.

    is_known: whether the request is that of a generation, or holds units alone. hires_steps: of
    hires fix's second pass, 0 without it. checkpoint: one that the request names for itself.
    sd_model: the checkpoint, if it is in memory.
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
        """As the WebUI's settings have it for such a generation."""
        return settings.token_merging_ratio(bool(self.init_images))
