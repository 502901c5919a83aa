"""Samplers that walk along timesteps, where `sigma` in callbacks is a timestep."""

from __future__ import annotations

import inspect

import torch
from modules import denoisers, devices, sampling, sd_samplers_common, shared
from modules.script_callbacks import ExtraNoiseParams, extra_noise_callback
from modules.sd_samplers_cfg_denoiser import CFGDenoiser

samplers_timesteps = [("DDIM", sampling.ddim, ["ddim"], {})]
samplers_data_timesteps = [
    sd_samplers_common.SamplerData(
        label, lambda model, funcname=funcname: CompVisSampler(funcname, model), aliases, options
    )
    for label, funcname, aliases, options in samplers_timesteps
]


class CFGDenoiserTimesteps(CFGDenoiser):
    def __init__(self, sampler) -> None:
        super().__init__(sampler)
        self.alphas = shared.sd_model.alphas_cumprod
        self.mask_before_denoising = True

    def get_pred_x0(self, x_in, x_out, sigma):
        a_t = self.alphas[sigma.to(dtype=int)][:, None, None, None]
        return (x_in - (1 - a_t).sqrt() * x_out) / a_t.sqrt()

    @property
    def inner_model(self):
        if self.model_wrap is None:
            velocity = shared.sd_model.parameterization == "v"
            of_velocity, of_noise = (
                denoisers.CompVisTimestepsVDenoiser,
                denoisers.CompVisTimestepsDenoiser,
            )
            self.model_wrap = (of_velocity if velocity else of_noise)(shared.sd_model)
        return self.model_wrap


class CompVisSampler(sd_samplers_common.Sampler):
    def __init__(self, funcname, sd_model) -> None:
        super().__init__(funcname)
        self.eta_option_field = "eta_ddim"
        self.eta_infotext_field = "Eta DDIM"
        self.eta_default = 0.0
        self.model_wrap_cfg = CFGDenoiserTimesteps(self)
        self.model_wrap = self.model_wrap_cfg.inner_model

    def get_timesteps(self, p, steps: int):
        if shared.opts.always_discard_next_to_last_sigma:
            p.extra_generation_params["Discard penultimate sigma"] = True
            steps += 1
        steps_list = list(range(0, 1000, 1000 // steps))
        return torch.clip(torch.asarray(steps_list, device=devices.device) + 1, 0, 999)

    def sample_img2img(
        self,
        p,
        x,
        noise,
        conditioning,
        unconditional_conditioning,
        steps=None,
        image_conditioning=None,
    ):
        steps, t_enc = sd_samplers_common.setup_img2img_steps(p, steps)
        timesteps = self.get_timesteps(p, steps)
        alpha = shared.sd_model.alphas_cumprod[timesteps[t_enc]]
        xi = x * alpha.sqrt() + noise * (1 - alpha).sqrt()
        extra = shared.opts.img2img_extra_noise
        if extra > 0:
            p.extra_generation_params["Extra noise"] = extra
            params = ExtraNoiseParams(noise, x, xi)
            extra_noise_callback(params)
            xi = xi + params.noise * extra * alpha.sqrt()
        kwargs = self.initialize(p)
        parameters = inspect.signature(self.func).parameters
        if "timesteps" in parameters:
            kwargs["timesteps"] = timesteps[:t_enc]
        if "is_img2img" in parameters:
            kwargs["is_img2img"] = True
        self.model_wrap_cfg.init_latent = x
        self.last_latent = x
        return self._run(
            p, t_enc + 1, xi, conditioning, unconditional_conditioning, image_conditioning, kwargs
        )

    def sample(
        self, p, x, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        steps = steps or p.steps
        timesteps = self.get_timesteps(p, steps)
        kwargs = self.initialize(p)
        if "timesteps" in inspect.signature(self.func).parameters:
            kwargs["timesteps"] = timesteps
        self.last_latent = x
        return self._run(
            p, steps, x, conditioning, unconditional_conditioning, image_conditioning, kwargs
        )


VanillaStableDiffusionSampler = CompVisSampler
