"""Classifier-free guidance in Forge Classic: the first step has rows of the prompt only."""

from __future__ import annotations

from ldm_patched.modules import model_management
from modules import shared

from tests.miniature.forge_family import cfg_denoiser
from tests.miniature.modules.sd_samplers_cfg_denoiser import *  # noqa: F403


class CFGDenoiser(cfg_denoiser.CFGDenoiser):
    def free_memory(self):
        return model_management.get_free_memory()

    def scale(self, cond_scale, sigma, s_min_uncond) -> float:
        """0, the default of the setting, is no exception: step 0 is not beyond it."""
        if 0.0 <= self.step / self.total_steps <= shared.opts.skip_early_cond:
            return 1.0
        return 1.0 if s_min_uncond > 0.0 and sigma[0] < s_min_uncond else cond_scale
