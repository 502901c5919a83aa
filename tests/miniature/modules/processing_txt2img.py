"""Text to image, with hires fix: a second pass over the enlarged first one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from modules import (
    devices,
    extra_networks,
    host,
    images,
    lowvram,
    prompt_parser,
    rng,
    sd_models,
    sd_samplers,
    sd_samplers_common,
    shared,
)
from modules.processing_base import StableDiffusionProcessing, decode_latent_batch, opt_f
from modules.processing_infotext import create_infotext
from modules.shared import state
from PIL import Image
from torch import Tensor


def old_hires_fix_first_pass_dimensions(width: int, height: int) -> tuple[int, int]:
    scale = math.sqrt(512 * 512 / (width * height))
    return math.ceil(scale * width / 64) * 64, math.ceil(scale * height / 64) * 64


def _pixels(image: Image.Image) -> np.ndarray:
    """[3, H, W] in 0..1."""
    return np.moveaxis(np.array(image).astype(np.float32) / 255.0, 2, 0)


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(StableDiffusionProcessing):
    enable_hr: bool = False
    denoising_strength: float = 0.75
    firstphase_width: int = 0
    firstphase_height: int = 0
    hr_scale: float = 2.0
    hr_upscaler: str = None
    hr_second_pass_steps: int = 0
    hr_resize_x: int = 0
    hr_resize_y: int = 0
    hr_checkpoint_name: str = None
    hr_sampler_name: str = None
    hr_scheduler: str = None
    hr_prompt: str = ""
    hr_negative_prompt: str = ""
    force_task_id: str = None

    cached_hr_uc = [None, None]
    cached_hr_c = [None, None]

    hr_checkpoint_info: dict = field(default=None, init=False)
    hr_upscale_to_x: int = field(default=0, init=False)
    hr_upscale_to_y: int = field(default=0, init=False)
    truncate_x: int = field(default=0, init=False)
    truncate_y: int = field(default=0, init=False)
    applied_old_hires_behavior_to: tuple = field(default=None, init=False)
    latent_scale_mode: dict = field(default=None, init=False)
    hr_c: tuple | None = field(default=None, init=False)
    hr_uc: tuple | None = field(default=None, init=False)
    all_hr_prompts: list = field(default=None, init=False)
    all_hr_negative_prompts: list = field(default=None, init=False)
    hr_prompts: list = field(default=None, init=False)
    hr_negative_prompts: list = field(default=None, init=False)
    hr_extra_network_data: list = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.firstphase_width != 0 or self.firstphase_height != 0:
            self.hr_upscale_to_x, self.hr_upscale_to_y = self.width, self.height
            self.width, self.height = self.firstphase_width, self.firstphase_height
        self.cached_hr_uc = StableDiffusionProcessingTxt2Img.cached_hr_uc
        self.cached_hr_c = StableDiffusionProcessingTxt2Img.cached_hr_c

    def calculate_target_resolution(self) -> None:
        params, x, y = self.extra_generation_params, self.hr_resize_x, self.hr_resize_y
        if x == 0 and y == 0:
            params["Hires upscale"] = self.hr_scale
            self.hr_upscale_to_x = int(self.width * self.hr_scale)
            self.hr_upscale_to_y = int(self.height * self.hr_scale)
            return
        params["Hires resize"] = f"{x}x{y}"
        wider = x != 0 and y != 0 and self.width / self.height < x / y
        if y == 0 or wider:
            self.hr_upscale_to_x, self.hr_upscale_to_y = x, x * self.height // self.width
        else:
            self.hr_upscale_to_x, self.hr_upscale_to_y = y * self.width // self.height, y
        if x != 0 and y != 0:
            self.truncate_x = (self.hr_upscale_to_x - x) // opt_f
            self.truncate_y = (self.hr_upscale_to_y - y) // opt_f

    def init(self, all_prompts, all_seeds, all_subseeds) -> None:
        if not self.enable_hr:
            return
        params = self.extra_generation_params
        params["Denoising strength"] = self.denoising_strength
        if self.hr_checkpoint_name and self.hr_checkpoint_name != "Use same checkpoint":
            info = sd_models.get_closet_checkpoint_match(self.hr_checkpoint_name)
            if info is None:
                raise Exception(f"Could not find checkpoint with name {self.hr_checkpoint_name}")
            self.hr_checkpoint_info = info
            params["Hires checkpoint"] = info.short_title
        if self.hr_sampler_name is not None and self.hr_sampler_name != self.sampler_name:
            params["Hires sampler"] = self.hr_sampler_name

        def get_hr_prompt(p, index, prompt_text, **kwargs):
            text = p.all_hr_prompts[index]
            return text if text != prompt_text else None

        def get_hr_negative_prompt(p, index, negative_prompt, **kwargs):
            text = p.all_hr_negative_prompts[index]
            return text if text != negative_prompt else None

        params["Hires prompt"] = get_hr_prompt
        params["Hires negative prompt"] = get_hr_negative_prompt
        params["Hires schedule type"] = None  # the sampler may set it
        if self.hr_scheduler is None:
            self.hr_scheduler = self.scheduler

        modes = shared.latent_upscale_modes
        name = self.hr_upscaler
        name = shared.latent_upscale_default_mode if name is None else name
        self.latent_scale_mode = modes.get(name)
        if self.latent_scale_mode is None and not any(x.name == name for x in shared.sd_upscalers):
            raise Exception(f"could not find upscaler named {self.hr_upscaler}")
        self.calculate_target_resolution()

        if not state.processing_has_refined_job_count:
            if state.job_count == -1:
                state.job_count = self.n_iter
            second = self.hr_second_pass_steps or self.steps
            first = 0 if getattr(self, "txt2img_upscale", False) else self.steps
            shared.total_tqdm.updateTotal((first + second) * state.job_count)
            state.job_count = state.job_count * 2
            state.processing_has_refined_job_count = True
        if self.hr_second_pass_steps:
            params["Hires steps"] = self.hr_second_pass_steps
        if self.hr_upscaler is not None:
            params["Hires upscaler"] = self.hr_upscaler

    def _given_first_pass(self) -> tuple[Tensor | None, Tensor | None]:
        """The upscale button brings a finished picture: (latents, None) or (None, pixels)."""
        pixels = torch.from_numpy(_pixels(self.firstpass_image)[None])
        if self.latent_scale_mode is None:
            return None, pixels * 2.0 - 1.0
        pixels = pixels.to(shared.device, dtype=devices.dtype_vae)
        return sd_samplers_common.images_tensor_to_samples(pixels, model=self.sd_model), None

    def sample(
        self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts
    ):
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        if self.firstpass_image is not None and self.enable_hr:
            samples, decoded_samples = self._given_first_pass()
        else:
            x = self.rng.next()
            host.begin_pass(self)
            if self.scripts is not None:
                self.scripts.process_before_every_sampling(
                    p=self, x=x, noise=x, c=conditioning, uc=unconditional_conditioning
                )
            samples = self.sampler.sample(
                self,
                x,
                conditioning,
                unconditional_conditioning,
                image_conditioning=self.txt2img_image_conditioning(x),
            )
            if not self.enable_hr:
                return samples
            decoded_samples = None
            if self.latent_scale_mode is None:
                decoded = decode_latent_batch(
                    self.sd_model, samples, target_device=devices.cpu, check_for_nans=True
                )
                decoded_samples = torch.stack(decoded).to(dtype=torch.float32)
        host.load_hires_checkpoint(self)
        return self.sample_hr_pass(
            samples, decoded_samples, seeds, subseeds, subseed_strength, prompts
        )

    def _save_intermediate(self, image, index: int, seeds, prompts) -> None:
        if not self.save_samples() or not shared.opts.save_images_before_highres_fix:
            return
        if not isinstance(image, Image.Image):
            image = sd_samplers.sample_to_image(image, index, approximation=0)
        info = create_infotext(
            self,
            self.all_prompts,
            self.all_seeds,
            self.all_subseeds,
            [],
            iteration=self.iteration,
            position_in_batch=index,
        )
        images.save_image(
            image,
            self.outpath_samples,
            "",
            seeds[index],
            prompts[index],
            shared.opts.samples_format,
            info=info,
            p=self,
            suffix="-before-highres-fix",
        )

    def _enlarge(self, samples, decoded_samples, seeds, prompts) -> tuple[Tensor, Tensor]:
        """(latents of the target size, their extra channels), by latent or by upscaler."""
        width, height = self.hr_upscale_to_x, self.hr_upscale_to_y
        if self.latent_scale_mode is not None:
            for i in range(samples.shape[0]):
                self._save_intermediate(samples, i, seeds, prompts)
            mode = self.latent_scale_mode
            samples = torch.nn.functional.interpolate(
                samples,
                size=(height // opt_f, width // opt_f),
                mode=mode["mode"],
                antialias=mode["antialias"],
            )
            weight = getattr(self, "inpainting_mask_weight", shared.opts.inpainting_mask_weight)
            if weight < 1.0:
                decoded = sd_samplers_common.decode_first_stage(self.sd_model, samples)
                return samples, self.img2img_image_conditioning(decoded, samples)
            return samples, self.txt2img_image_conditioning(samples)

        pictures = []
        for i, sample in enumerate(((decoded_samples + 1.0) / 2.0).clamp(0.0, 1.0)):
            image = sd_samplers_common.tensor_to_image(sample)
            self._save_intermediate(image, i, seeds, prompts)
            image = images.resize_image(0, image, width, height, upscaler_name=self.hr_upscaler)
            pictures.append(_pixels(image))
        pixels = torch.from_numpy(np.array(pictures))
        pixels = pixels.to(shared.device, dtype=devices.dtype_vae)
        samples = sd_samplers_common.images_tensor_to_samples(pixels)
        return samples, self.img2img_image_conditioning(pixels, samples)

    def sample_hr_pass(self, samples, decoded_samples, seeds, subseeds, subseed_strength, prompts):
        if state.interrupted:
            return samples
        self.is_hr_pass = True
        self.sampler = sd_samplers.create_sampler(
            self.hr_sampler_name or self.sampler_name, self.sd_model
        )
        samples, image_conditioning = self._enlarge(samples, decoded_samples, seeds, prompts)
        state.nextjob()
        left, right = self.truncate_x // 2, (self.truncate_x + 1) // 2
        top, bottom = self.truncate_y // 2, (self.truncate_y + 1) // 2
        samples = samples[:, :, top : samples.shape[2] - bottom, left : samples.shape[3] - right]
        self.rng = rng.ImageRNG(
            samples.shape[1:],
            self.seeds,
            subseeds=self.subseeds,
            subseed_strength=self.subseed_strength,
            seed_resize_from_h=self.seed_resize_from_h,
            seed_resize_from_w=self.seed_resize_from_w,
        )
        noise = self.rng.next()
        if not self.disable_extra_networks:
            with devices.autocast():
                extra_networks.activate(self, self.hr_extra_network_data)
        with devices.autocast():
            self.calculate_hr_conds()
        sd_models.apply_token_merging(self.sd_model, self.get_token_merging_ratio(for_hr=True))
        if self.scripts is not None:
            self.scripts.before_hr(self)
            host.announce_second_pass(self, x=samples, noise=noise, c=self.hr_c, uc=self.hr_uc)
        samples = self.sampler.sample_img2img(
            self,
            samples,
            noise,
            self.hr_c,
            self.hr_uc,
            steps=self.hr_second_pass_steps or self.steps,
            image_conditioning=image_conditioning,
        )
        sd_models.apply_token_merging(self.sd_model, self.get_token_merging_ratio())
        self.sampler = None
        devices.torch_gc()
        decoded = decode_latent_batch(
            self.sd_model, samples, target_device=devices.cpu, check_for_nans=True
        )
        self.is_hr_pass = False
        return decoded

    def close(self) -> None:
        super().close()
        self.hr_c = None
        self.hr_uc = None
        if not shared.opts.persistent_cond_cache:
            StableDiffusionProcessingTxt2Img.cached_hr_uc = [None, None]
            StableDiffusionProcessingTxt2Img.cached_hr_c = [None, None]

    def setup_prompts(self) -> None:
        super().setup_prompts()
        if not self.enable_hr:
            return
        self.hr_prompt = self.prompt if self.hr_prompt == "" else self.hr_prompt
        if self.hr_negative_prompt == "":
            self.hr_negative_prompt = self.negative_prompt
        count = self.batch_size * self.n_iter

        def each(text) -> list[str]:
            return text if isinstance(text, list) else count * [text]

        styles, known = self.styles, shared.prompt_styles
        self.all_hr_prompts = [
            known.apply_styles_to_prompt(x, styles) for x in each(self.hr_prompt)
        ]
        self.all_hr_negative_prompts = [
            known.apply_negative_styles_to_prompt(x, styles) for x in each(self.hr_negative_prompt)
        ]

    def calculate_hr_conds(self) -> None:
        if self.hr_c is not None:
            return
        size = {"width": self.hr_upscale_to_x, "height": self.hr_upscale_to_y}
        prompts = prompt_parser.SdConditioning(self.hr_prompts, **size)
        negative = prompt_parser.SdConditioning(
            self.hr_negative_prompts, **size, is_negative_prompt=True
        )
        config = sd_samplers.find_sampler_config(self.hr_sampler_name or self.sampler_name)
        steps = self.hr_second_pass_steps or self.steps
        total = config.total_steps(steps) if config else steps
        rest = (self.hr_extra_network_data, total)
        self.hr_uc = self.get_conds_with_caching(
            prompt_parser.get_learned_conditioning,
            negative,
            self.firstpass_steps,
            [self.cached_hr_uc, self.cached_uc],
            *rest,
        )
        self.hr_c = self.get_conds_with_caching(
            prompt_parser.get_multicond_learned_conditioning,
            prompts,
            self.firstpass_steps,
            [self.cached_hr_c, self.cached_c],
            *rest,
        )

    def setup_conds(self) -> None:
        if self.is_hr_pass:  # the refiner asks again in the middle of the second pass
            self.hr_c = None
            self.calculate_hr_conds()
            return
        super().setup_conds()
        self.hr_uc = None
        self.hr_c = None
        if not self.enable_hr or self.hr_checkpoint_info is not None:
            return
        if shared.opts.hires_fix_use_firstpass_conds:
            self.calculate_hr_conds()
        elif lowvram.is_enabled(shared.sd_model) and (
            shared.sd_model.sd_checkpoint_info == sd_models.select_checkpoint()
        ):
            # the text encoder is about to be unloaded: both passes are encoded now
            with devices.autocast():
                extra_networks.activate(self, self.hr_extra_network_data)
            self.calculate_hr_conds()
            with devices.autocast():
                extra_networks.activate(self, self.extra_network_data)

    def get_conds(self) -> tuple:
        return (self.hr_c, self.hr_uc) if self.is_hr_pass else super().get_conds()

    def parse_extra_network_prompts(self) -> None:
        super().parse_extra_network_prompts()
        if self.enable_hr:
            part = slice(self.iteration * self.batch_size, (self.iteration + 1) * self.batch_size)
            self.hr_negative_prompts = self.all_hr_negative_prompts[part]
            self.hr_prompts, self.hr_extra_network_data = extra_networks.parse_prompts(
                self.all_hr_prompts[part]
            )
