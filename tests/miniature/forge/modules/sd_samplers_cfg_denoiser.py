"""Classifier-free guidance in Forge: the second pass has a scale of its own."""

from __future__ import annotations

from backend import memory_management

from tests.miniature.forge_family import cfg_denoiser
from tests.miniature.modules.sd_samplers_cfg_denoiser import *  # noqa: F403


class CFGDenoiser(cfg_denoiser.CFGDenoiser):
    def free_memory(self):
        return memory_management.get_free_memory()

    def scale(self, cond_scale, sigma, s_min_uncond) -> float:
        if self.p.is_hr_pass:
            cond_scale = self.p.hr_cfg
        return 1.0 if self._skips_uncond(sigma, s_min_uncond) else cond_scale
