"""Samplers that walk along noise levels."""

from __future__ import annotations

import inspect

import torch
from modules import denoisers, devices, sampling, sd_samplers_common, sd_schedulers, shared
from modules.script_callbacks import ExtraNoiseParams, extra_noise_callback
from modules.sd_samplers_cfg_denoiser import CFGDenoiser

samplers_k_diffusion = [
    ("DPM++ 2M", "sample_dpmpp_2m", ["k_dpmpp_2m"], {"scheduler": "karras"}),
    ("Euler a", "sample_euler_ancestral", ["k_euler_a", "k_euler_ancestral"], {"uses_ensd": True}),
    ("Euler", "sample_euler", ["k_euler"], {}),
    ("Heun", "sample_heun", ["k_heun"], {"second_order": True}),
]
samplers_data_k_diffusion = [
    sd_samplers_common.SamplerData(
        label, lambda model, funcname=funcname: KDiffusionSampler(funcname, model), aliases, options
    )
    for label, funcname, aliases, options in samplers_k_diffusion
]
sampler_extra_params = {
    "sample_euler": ["s_churn", "s_tmin", "s_tmax", "s_noise"],
    "sample_heun": ["s_churn", "s_tmin", "s_tmax", "s_noise"],
}
k_diffusion_samplers_map = {x.name: x for x in samplers_data_k_diffusion}


class CFGDenoiserKDiffusion(CFGDenoiser):
    @property
    def inner_model(self):
        if self.model_wrap is None:
            velocity = shared.sd_model.parameterization == "v"
            wrap = denoisers.CompVisVDenoiser if velocity else denoisers.CompVisDenoiser
            self.model_wrap = wrap(shared.sd_model, quantize=shared.opts.enable_quantization)
        return self.model_wrap


class KDiffusionSampler(sd_samplers_common.Sampler):
    def __init__(self, funcname, sd_model, options=None) -> None:
        super().__init__(funcname)
        self.extra_params = sampler_extra_params.get(funcname, [])
        self.options = options or {}
        self.func = funcname if callable(funcname) else getattr(sampling, funcname)
        self.model_wrap_cfg = CFGDenoiserKDiffusion(self)
        self.model_wrap = self.model_wrap_cfg.inner_model

    def get_sigmas(self, p, steps: int):
        discard = self.config is not None and self.config.options.get(
            "discard_next_to_last_sigma", False
        )
        if shared.opts.always_discard_next_to_last_sigma and not discard:
            discard = True
            p.extra_generation_params["Discard penultimate sigma"] = True
        steps += 1 if discard else 0

        name = (p.hr_scheduler if p.is_hr_pass else p.scheduler) or "Automatic"
        if name == "Automatic":
            name = self.config.options.get("scheduler")
        scheduler = sd_schedulers.schedulers_map.get(name)
        if p.sampler_noise_scheduler_override:
            sigmas = p.sampler_noise_scheduler_override(steps)
        elif scheduler is None or scheduler.function is None:
            sigmas = self.model_wrap.get_sigmas(steps)
        else:
            sigmas = self._scheduled_sigmas(p, scheduler, steps)
        if discard:
            sigmas = torch.cat([sigmas[:-2], sigmas[-1:]])
        return sigmas.cpu()

    def _scheduled_sigmas(self, p, scheduler, steps: int):
        opts, params = shared.opts, p.extra_generation_params
        low, high = self.model_wrap.sigmas[0].item(), self.model_wrap.sigmas[-1].item()
        kwargs = {"sigma_min": low, "sigma_max": high}
        if opts.use_old_karras_scheduler_sigmas:
            kwargs = {"sigma_min": 0.1, "sigma_max": 10}
        if scheduler.label != "Automatic" and not p.is_hr_pass:
            params["Schedule type"] = scheduler.label
        elif scheduler.label != params.get("Schedule type"):
            params["Hires schedule type"] = scheduler.label
        for name, label, model_value in (
            ("sigma_min", "Schedule min sigma", low),
            ("sigma_max", "Schedule max sigma", high),
        ):
            value = getattr(opts, name)
            if value not in (0, model_value):
                kwargs[name] = params[label] = value
        if scheduler.default_rho != -1 and opts.rho not in (0, scheduler.default_rho):
            kwargs["rho"] = params["Schedule rho"] = opts.rho
        if scheduler.need_inner_model:
            kwargs["inner_model"] = self.model_wrap
        return scheduler.function(n=steps, **kwargs, device=devices.cpu)

    def _schedule_args(self, kwargs: dict, sigmas) -> dict:
        parameters = inspect.signature(self.func).parameters
        if "n" in parameters:
            kwargs["n"] = len(sigmas) - 1
        if "sigmas" in parameters:
            kwargs["sigmas"] = sigmas
        return kwargs

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
        sigmas = self.get_sigmas(p, steps)[steps - t_enc - 1 :]
        xi = x + noise * sigmas[0]
        extra = shared.opts.img2img_extra_noise
        if extra > 0:
            p.extra_generation_params["Extra noise"] = extra
            params = ExtraNoiseParams(noise, x, xi)
            extra_noise_callback(params)
            xi = xi + params.noise * extra
        kwargs = self._schedule_args(self.initialize(p), sigmas)
        self.model_wrap_cfg.init_latent = x
        self.last_latent = x
        return self._run(
            p, t_enc + 1, xi, conditioning, unconditional_conditioning, image_conditioning, kwargs
        )

    def sample(
        self, p, x, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        steps = steps or p.steps
        sigmas = self.get_sigmas(p, steps)
        if shared.opts.sgm_noise_multiplier:
            p.extra_generation_params["SGM noise multiplier"] = True
            x = x * (1.0 + sigmas[0] ** 2.0) ** 0.5
        else:
            x = x * sigmas[0]
        kwargs = self._schedule_args(self.initialize(p), sigmas)
        self.last_latent = x
        return self._run(
            p, steps, x, conditioning, unconditional_conditioning, image_conditioning, kwargs
        )
