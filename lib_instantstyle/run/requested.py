"""The generation that a request for a dry run describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lib_instantstyle.hosts import settings


@dataclass(frozen=True)
class RequestedGeneration:
    """Takes the place of the WebUI's `p` in the checks; with the defaults every method can act.

    steps: that it executes; in img2img fewer than were asked for. hires_steps: of hires fix's
    second pass, 0 without it. is_known: True if the request describes a generation, False if it has
    units alone. override: the request's own settings. sd_model: the checkpoint, if it is in memory.
    """

    steps: int = 20
    hires_steps: int = 0
    cfg_scale: float = 7.0
    init_images: Sequence[object] = ("some picture",)
    denoising_strength: float = 1.0
    batch_size: int = 2
    refiner_checkpoint_info: object | None = None
    is_known: bool = False
    override: Mapping[str, Any] = field(default_factory=dict)
    sd_model: Any = None
    is_api: bool = False  # whether a client asks, who sees no page
    script_name: str = ""  # of the script that is chosen below the others

    def get_token_merging_ratio(self) -> float:
        """The ratio that the WebUI's settings have for such a generation."""
        return settings.token_merging_ratio(bool(self.init_images), self.override)

    @property
    def checkpoint(self) -> str:
        """The name of the checkpoint in the request's own settings, or ""."""
        name = self.override.get("sd_model_checkpoint")
        return name if isinstance(name, str) else ""
