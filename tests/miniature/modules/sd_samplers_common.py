"""What all samplers share: steps, the launch, the refiner, and latents to pictures and back."""

from __future__ import annotations

import inspect
from collections import namedtuple

import numpy as np
import torch
from modules import devices, host, images, sampling, shared
from modules.shared import state
from PIL import Image
from torch import Tensor

SamplerDataTuple = namedtuple("SamplerData", ["name", "constructor", "aliases", "options"])


class SamplerData(SamplerDataTuple):
    def total_steps(self, steps: int) -> int:
        return steps * 2 if self.options.get("second_order", False) else steps


def setup_img2img_steps(p, steps: int | None = None) -> tuple[int, int]:
    """(steps of the whole schedule, index of the last executed one)."""
    if shared.opts.img2img_fix_steps or steps is not None:
        requested = steps or p.steps
        strength = p.denoising_strength
        return (int(requested / min(strength, 0.999)) if strength > 0 else 0), requested - 1
    return p.steps, int(min(p.denoising_strength, 0.999) * p.steps)


approximation_indexes = {"Full": 0, "Approx NN": 1, "Approx cheap": 2, "TAESD": 3}


def samples_to_images_tensor(sample: Tensor, approximation=None, model=None) -> Tensor:
    """Latents [B, 4, h, w] -> pixels [B, 3, 8h, 8w] in -1..1. Only the full decoder exists here."""
    model = shared.sd_model if model is None else model
    return model.decode_first_stage(sample)


def single_sample_to_image(sample: Tensor, approximation=None) -> Image.Image:
    pixels = samples_to_images_tensor(sample.unsqueeze(0), approximation)[0] * 0.5 + 0.5
    return tensor_to_image(pixels)


def tensor_to_image(pixels: Tensor) -> Image.Image:
    """[3, H, W] in 0..1 -> an 8 bit picture, rounding down."""
    array = 255.0 * np.moveaxis(pixels.clamp(0, 1).float().cpu().numpy(), 0, 2)
    return Image.fromarray(array.astype(np.uint8))


def decode_first_stage(model, x: Tensor) -> Tensor:
    return samples_to_images_tensor(x.to(devices.dtype_vae), 0, model)


def sample_to_image(samples: Tensor, index: int = 0, approximation=None) -> Image.Image:
    return single_sample_to_image(samples[index], approximation)


def samples_to_image_grid(samples: Tensor, approximation=None) -> Image.Image:
    return images.image_grid([single_sample_to_image(x, approximation) for x in samples])


def images_tensor_to_samples(image: Tensor, approximation=None, model=None) -> Tensor:
    """Pixels [B, 3, H, W] in 0..1 -> latents. One picture at a time."""
    model = shared.sd_model if model is None else model
    pixels = image.to(shared.device, dtype=devices.dtype_vae) * 2 - 1
    latents = [model.get_first_stage_encoding(model.encode_first_stage(x[None])) for x in pixels]
    return torch.cat(latents)


def store_latent(decoded: Tensor) -> None:
    opts = shared.opts
    state.current_latent = decoded
    every = opts.show_progress_every_n_steps
    if not opts.live_previews_enable or every <= 0 or state.sampling_step % every:
        return
    if not shared.parallel_processing_allowed:
        state.assign_current_image(sample_to_image(decoded))


def is_sampler_using_eta_noise_seed_delta(p) -> bool:
    from modules import sd_samplers

    config = sd_samplers.find_sampler_config(p.sampler_name)
    eta = p.eta
    if eta is None and p.sampler is not None:
        eta = p.sampler.eta
    if eta is None and config is not None:
        eta = 0 if config.options.get("default_eta_is_0", False) else 1.0
    return eta != 0 and config.options.get("uses_ensd", False)


class InterruptedException(BaseException):
    pass


def completed_ratio(denoiser, sigma: Tensor | None) -> float:
    if shared.opts.refiner_switch_by_sample_steps or sigma is None:
        denoiser.p.extra_generation_params["Refiner switch by sampling steps"] = True
        return denoiser.step / denoiser.total_steps
    sigmas = getattr(denoiser.inner_model, "sigmas", None)
    # DDIM has no sigmas: what is called sigma there is the timestep
    timestep = sigma.max() if sigmas is None else (sigmas - sigma.max()).abs().argmin()
    return (999 - int(timestep)) / 1000


def apply_refiner(cfg_denoiser, sigma: Tensor | None = None) -> bool:
    """Switches the checkpoint in the middle of sampling. True if it did so now."""
    p = cfg_denoiser.p
    info = p.refiner_checkpoint_info
    if info is None or shared.sd_model.sd_checkpoint_info == info:
        return False
    if p.refiner_switch_at is not None and completed_ratio(cfg_denoiser, sigma) < (
        p.refiner_switch_at
    ):
        return False
    if getattr(p, "enable_hr", False):
        which = shared.opts.hires_fix_refiner_pass
        if which == ("first pass" if p.is_hr_pass else "second pass"):
            return False
        if which != "second pass":
            p.extra_generation_params["Hires refiner"] = which
    p.extra_generation_params["Refiner"] = info.short_title
    p.extra_generation_params["Refiner switch at"] = p.refiner_switch_at
    host.load_refiner(info)
    devices.torch_gc()
    p.setup_conds()
    cfg_denoiser.update_inner_model()
    return True


class Sampler:
    def __init__(self, funcname) -> None:
        self.funcname = funcname
        self.func = funcname
        self.extra_params: list[str] = []
        self.sampler_noises = None
        self.stop_at = None
        self.eta = None
        self.config: SamplerData | None = None  # set by create_sampler
        self.last_latent = None
        self.s_min_uncond = None
        self.s_churn = 0.0
        self.s_tmin = 0.0
        self.s_tmax = float("inf")
        self.s_noise = 1.0
        self.eta_option_field = "eta_ancestral"
        self.eta_infotext_field = "Eta"
        self.eta_default = 1.0
        model = getattr(shared.sd_model, "model", None)
        self.conditioning_key = getattr(model, "conditioning_key", "crossattn")
        self.p = None
        self.model_wrap = None
        self.model_wrap_cfg = None
        self.sampler_extra_args = None
        self.options: dict = {}

    def callback_state(self, d: dict) -> None:
        step = d["i"]
        if self.stop_at is not None and step > self.stop_at:
            raise InterruptedException
        state.sampling_step = step
        shared.total_tqdm.update()

    def launch_sampling(self, steps: int, func):
        """Runs the sampler; an interruption ends it with the last latent."""
        self.model_wrap_cfg.steps = steps
        self.model_wrap_cfg.total_steps = self.config.total_steps(steps)
        state.sampling_steps = steps
        state.sampling_step = 0
        try:
            return func()
        except RecursionError:
            print("Encountered RecursionError during sampling, returning last latent.")
            return self.last_latent
        except InterruptedException:
            return self.last_latent

    def number_of_needed_noises(self, p) -> int:
        return p.steps

    def _add_sigma_params(self, p, kwargs: dict) -> None:
        """s_churn and its kin: the setting where one is set, else what p says."""
        names = {
            "s_churn": "Sigma churn",
            "s_tmin": "Sigma tmin",
            "s_tmax": "Sigma tmax",
            "s_noise": "Sigma noise",
        }
        for name, label in names.items():
            value = getattr(shared.opts, name, getattr(p, name))
            if name == "s_tmax":
                value = value or self.s_tmax
            if name in kwargs and value != getattr(self, name):
                kwargs[name] = value
                setattr(p, name, value)
                p.extra_generation_params[label] = value

    def initialize(self, p) -> dict:
        self.p = p
        self.model_wrap_cfg.p = p
        self.model_wrap_cfg.mask = getattr(p, "mask", None)
        self.model_wrap_cfg.nmask = getattr(p, "nmask", None)
        self.model_wrap_cfg.step = 0
        self.model_wrap_cfg.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.eta = p.eta if p.eta is not None else getattr(shared.opts, self.eta_option_field, 0.0)
        self.s_min_uncond = getattr(p, "s_min_uncond", 0.0)
        noise = p.rng  # and not `p`, which would live on with the module
        sampling.noise_like = lambda x: noise.next()

        parameters = inspect.signature(self.func).parameters
        kwargs = {
            name: getattr(p, name)
            for name in self.extra_params
            if hasattr(p, name) and name in parameters
        }
        if "eta" in parameters:
            if self.eta != self.eta_default:
                p.extra_generation_params[self.eta_infotext_field] = self.eta
            kwargs["eta"] = self.eta
        if self.extra_params:
            self._add_sigma_params(p, kwargs)
        return kwargs

    def _run(self, p, steps, x, conditioning, unconditional_conditioning, image_conditioning, kw):
        """The common end of `sample` and `sample_img2img`."""
        self.sampler_extra_args = {
            "cond": conditioning,
            "image_cond": image_conditioning,
            "uncond": unconditional_conditioning,
            "cond_scale": p.cfg_scale,
            "s_min_uncond": self.s_min_uncond,
        }
        with host.unet_loaded(x):
            samples = self.launch_sampling(
                steps,
                lambda: self.func(
                    self.model_wrap_cfg,
                    x,
                    extra_args=self.sampler_extra_args,
                    disable=False,
                    callback=self.callback_state,
                    **kw,
                ),
            )
        self.add_infotext(p)
        return samples

    def sample(
        self, p, x, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        raise NotImplementedError()

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
        raise NotImplementedError()

    def add_infotext(self, p) -> None:
        if self.model_wrap_cfg.padded_cond_uncond:
            p.extra_generation_params["Pad conds"] = True
        if self.model_wrap_cfg.padded_cond_uncond_v0:
            p.extra_generation_params["Pad conds v0"] = True
