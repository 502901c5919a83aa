"""Classifier-free guidance in the Forge family: see sampling.py for the rows."""

from __future__ import annotations

import torch
from modules import prompt_parser, sd_samplers_common, shared
from modules.script_callbacks import (
    AfterCFGCallbackParams,
    CFGDenoiserParams,
    cfg_after_cfg_callback,
    cfg_denoiser_callback,
)
from modules.shared import state

from tests.miniature.modules import sd_samplers_cfg_denoiser as a1111

from .sampling import sampling_function


class CFGDenoiser(a1111.CFGDenoiser):
    @property
    def classic_ddim_eps_estimation(self) -> bool:
        """DDIM counts in timesteps and wants the noise: the same samplers as mask first."""
        return self.mask_before_denoising

    def free_memory(self):
        """Bytes on the device."""
        raise NotImplementedError

    def scale(self, cond_scale, sigma, s_min_uncond) -> float:
        """1 where a setting leaves the negative prompt out for this step."""
        raise NotImplementedError

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond):
        if state.interrupted or state.skipped:
            raise sd_samplers_common.InterruptedException
        if self.classic_ddim_eps_estimation:
            alphas = self.inner_model.inner_model.alphas_cumprod[sigma.round().long()]
            sigma = ((1 - alphas) / alphas) ** 0.5
            x = x * ((sigma**2 + 1.0) ** 0.5)[:, None, None, None]
        if sd_samplers_common.apply_refiner(self, None):
            cond = self.sampler.sampler_extra_args["cond"]
            uncond = self.sampler.sampler_extra_args["uncond"]

        composition, cond = prompt_parser.reconstruct_multicond_batch(cond, self.step)
        if uncond is not None:
            uncond = prompt_parser.reconstruct_cond_batch(uncond, self.step)
        if self.mask is not None:
            noise = torch.randn_like(self.init_latent)
            x = x * self.nmask + (self.init_latent + noise * sigma[:, None, None, None]) * self.mask

        params = CFGDenoiserParams(
            x, image_cond, sigma, state.sampling_step, state.sampling_steps, cond, uncond, self
        )
        cfg_denoiser_callback(params)
        denoised = sampling_function(
            shared.sd_model.forge_objects.unet,
            params,
            self.scale(cond_scale, sigma, s_min_uncond),
            composition,
            self.free_memory,
        )
        if self.mask is not None:
            denoised = self._blend(denoised, sigma)

        self.sampler.last_latent = denoised
        sd_samplers_common.store_latent(denoised)
        after = AfterCFGCallbackParams(denoised, state.sampling_step, state.sampling_steps)
        cfg_after_cfg_callback(after)
        self.step += 1
        if self.classic_ddim_eps_estimation:
            return (x - after.x) / sigma[:, None, None, None]
        return after.x
