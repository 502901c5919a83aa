"""`p` in Forge: no negative conditioning with CFG 1, and a cache that can be cleared."""

from __future__ import annotations

from dataclasses import dataclass

from tests.miniature.modules import processing_base as a1111
from tests.miniature.modules.processing_base import *  # noqa: F403


@dataclass(repr=False)
class StableDiffusionProcessing(a1111.StableDiffusionProcessing):
    distilled_cfg_scale: float = 3.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extra_result_images: list = []

    def clear_prompt_cache(self) -> None:
        self.cached_c = [None, None]
        self.cached_uc = [None, None]
        a1111.StableDiffusionProcessing.cached_c = self.cached_c
        a1111.StableDiffusionProcessing.cached_uc = self.cached_uc

    def setup_conds(self) -> None:
        super().setup_conds()
        if self.cfg_scale == 1:
            self.uc = None
