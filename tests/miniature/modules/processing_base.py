"""`p`, the object every script works on, and what comes out of it."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import (
    devices,
    extra_networks,
    host,
    prompt_parser,
    rng,
    scripts,
    sd_samplers,
    sd_samplers_common,
    shared,
)
from modules.processing_infotext import create_infotext, program_version
from modules.shared import state
from PIL import Image
from torch import Tensor

opt_C = 4
opt_f = 8


def txt2img_image_conditioning(sd_model, x: Tensor, width: int, height: int) -> Tensor:
    """What an inpainting model is told where nothing is given: all of it is masked."""
    if not host.is_inpainting(sd_model):
        return x.new_zeros(x.shape[0], 5, 1, 1)
    grey = torch.full((x.shape[0], 3, height, width), 0.5, device=x.device)
    latent = sd_samplers_common.images_tensor_to_samples(grey)
    return torch.nn.functional.pad(latent, (0, 0, 0, 0, 1, 0), value=1.0).to(x.dtype)


@dataclass(repr=False)
class StableDiffusionProcessing:
    sd_model: object = None
    outpath_samples: str = None
    outpath_grids: str = None
    prompt: str = ""
    prompt_for_display: str = None
    negative_prompt: str = ""
    styles: list[str] = None
    seed: int = -1
    subseed: int = -1
    subseed_strength: float = 0
    seed_resize_from_h: int = -1
    seed_resize_from_w: int = -1
    seed_enable_extras: bool = True
    sampler_name: str = None
    scheduler: str = None
    batch_size: int = 1
    n_iter: int = 1
    steps: int = 50
    cfg_scale: float = 7.0
    width: int = 512
    height: int = 512
    restore_faces: bool = None
    tiling: bool = None
    do_not_save_samples: bool = False
    do_not_save_grid: bool = False
    extra_generation_params: dict[str, Any] = None
    overlay_images: list = None
    eta: float = None
    do_not_reload_embeddings: bool = False
    denoising_strength: float = None
    ddim_discretize: str = None
    s_min_uncond: float = None
    s_churn: float = None
    s_tmax: float = None
    s_tmin: float = None
    s_noise: float = None
    override_settings: dict[str, Any] = None
    override_settings_restore_afterwards: bool = True
    sampler_index: int = None
    refiner_checkpoint: str = None
    refiner_switch_at: float = None
    token_merging_ratio = 0
    token_merging_ratio_hr = 0
    disable_extra_networks: bool = False
    firstpass_image: Image = None

    scripts_value: scripts.ScriptRunner = field(default=None, init=False)
    script_args_value: list = field(default=None, init=False)
    scripts_setup_complete: bool = field(default=False, init=False)

    cached_uc = [None, None]
    cached_c = [None, None]

    comments: dict = None
    sampler: sd_samplers_common.Sampler | None = field(default=None, init=False)
    is_using_inpainting_conditioning: bool = field(default=False, init=False)
    paste_to: tuple | None = field(default=None, init=False)
    is_hr_pass: bool = field(default=False, init=False)
    c: tuple = field(default=None, init=False)
    uc: tuple = field(default=None, init=False)
    rng: rng.ImageRNG | None = field(default=None, init=False)
    step_multiplier: int = field(default=1, init=False)
    color_corrections: list = field(default=None, init=False)

    all_prompts: list = field(default=None, init=False)
    all_negative_prompts: list = field(default=None, init=False)
    all_seeds: list = field(default=None, init=False)
    all_subseeds: list = field(default=None, init=False)
    iteration: int = field(default=0, init=False)
    main_prompt: str = field(default=None, init=False)
    main_negative_prompt: str = field(default=None, init=False)
    prompts: list = field(default=None, init=False)
    negative_prompts: list = field(default=None, init=False)
    seeds: list = field(default=None, init=False)
    subseeds: list = field(default=None, init=False)
    extra_network_data: dict = field(default=None, init=False)

    user: str = field(default=None, init=False)
    sd_model_name: str = field(default=None, init=False)
    sd_model_hash: str = field(default=None, init=False)
    sd_vae_name: str = field(default=None, init=False)
    sd_vae_hash: str = field(default=None, init=False)
    is_api: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.sampler_index is not None:
            print("sampler_index does not do anything; use sampler_name", file=sys.stderr)
        self.comments = {}
        self.styles = [] if self.styles is None else self.styles
        self.sampler_noise_scheduler_override = None
        self.extra_generation_params = self.extra_generation_params or {}
        self.override_settings = self.override_settings or {}
        self.script_args = self.script_args or {}
        self.refiner_checkpoint_info = None
        if not self.seed_enable_extras:
            self.subseed = -1
            self.subseed_strength = 0
            self.seed_resize_from_h = 0
            self.seed_resize_from_w = 0
        self.cached_uc = StableDiffusionProcessing.cached_uc
        self.cached_c = StableDiffusionProcessing.cached_c

    def fill_fields_from_opts(self) -> None:
        for name in ("s_min_uncond", "s_churn", "s_tmin", "s_tmax", "s_noise"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(shared.opts, name))
        self.s_tmax = self.s_tmax or float("inf")

    @property
    def sd_model(self):  # noqa: F811
        return shared.sd_model

    @sd_model.setter
    def sd_model(self, value) -> None:
        pass  # there is only one, the loaded one

    @property
    def scripts(self):
        return self.scripts_value

    @scripts.setter
    def scripts(self, value) -> None:
        self.scripts_value = value
        self._setup_scripts_once()

    @property
    def script_args(self):
        return self.script_args_value

    @script_args.setter
    def script_args(self, value) -> None:
        self.script_args_value = value
        self._setup_scripts_once()

    def _setup_scripts_once(self) -> None:
        if self.scripts_value and self.script_args_value and not self.scripts_setup_complete:
            self.setup_scripts()

    def setup_scripts(self) -> None:
        self.scripts_setup_complete = True
        self.scripts.setup_scrips(self, is_ui=not self.is_api)

    def comment(self, text: str) -> None:
        self.comments[text] = 1

    # -- extra channels of inpainting models -------------------------------------------------

    def txt2img_image_conditioning(self, x, width=None, height=None) -> Tensor:
        self.is_using_inpainting_conditioning = host.is_hybrid(self.sd_model)
        return txt2img_image_conditioning(
            self.sd_model, x, width or self.width, height or self.height
        )

    def inpainting_image_conditioning(
        self, source_image, latent_image, image_mask=None, round_image_mask=True
    ) -> Tensor:
        """[B, 5, h, w]: the mask, and the latent of the picture without what is masked."""
        self.is_using_inpainting_conditioning = True
        if image_mask is None:
            mask = source_image.new_ones(1, 1, *source_image.shape[-2:])
        elif torch.is_tensor(image_mask):
            mask = image_mask
        else:
            array = np.array(image_mask.convert("L")).astype(np.float32) / 255.0
            mask = torch.from_numpy(array[None, None])
            mask = mask.round() if round_image_mask else mask
        mask = mask.to(device=source_image.device, dtype=source_image.dtype)
        weight = getattr(self, "inpainting_mask_weight", shared.opts.inpainting_mask_weight)
        image = torch.lerp(source_image, source_image * (1.0 - mask), weight)
        latent = self.sd_model.get_first_stage_encoding(self.sd_model.encode_first_stage(image))
        mask = torch.nn.functional.interpolate(mask, size=latent_image.shape[-2:])
        mask = mask.expand(latent.shape[0], -1, -1, -1)
        return torch.cat([mask, latent], dim=1).to(shared.device, devices.dtype_unet)

    def img2img_image_conditioning(
        self, source_image, latent_image, image_mask=None, round_image_mask=True
    ) -> Tensor:
        source_image = devices.cond_cast_float(source_image)
        if host.is_hybrid(self.sd_model):
            return self.inpainting_image_conditioning(
                source_image, latent_image, image_mask, round_image_mask
            )
        if host.is_inpainting(self.sd_model):
            return self.inpainting_image_conditioning(source_image, latent_image, image_mask)
        return latent_image.new_zeros(latent_image.shape[0], 5, 1, 1)

    # -- what the two kinds of p fill in -----------------------------------------------------

    def init(self, all_prompts, all_seeds, all_subseeds) -> None:
        pass

    def sample(
        self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts
    ):
        raise NotImplementedError()

    def close(self) -> None:
        self.sampler = None
        self.c = None
        self.uc = None
        if not shared.opts.persistent_cond_cache:
            StableDiffusionProcessing.cached_c = [None, None]
            StableDiffusionProcessing.cached_uc = [None, None]

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        opts = shared.opts
        first = self.token_merging_ratio or opts.token_merging_ratio
        return (
            self.token_merging_ratio_hr or opts.token_merging_ratio_hr or first
            if for_hr
            else (first)
        )

    # -- prompts -----------------------------------------------------------------------------

    def setup_prompts(self) -> None:
        if isinstance(self.prompt, list):
            self.all_prompts = self.prompt
        elif isinstance(self.negative_prompt, list):
            self.all_prompts = [self.prompt] * len(self.negative_prompt)
        else:
            self.all_prompts = self.batch_size * self.n_iter * [self.prompt]
        if isinstance(self.negative_prompt, list):
            self.all_negative_prompts = self.negative_prompt
        else:
            self.all_negative_prompts = [self.negative_prompt] * len(self.all_prompts)
        if len(self.all_prompts) != len(self.all_negative_prompts):
            raise RuntimeError(
                f"Received a different number of prompts ({len(self.all_prompts)})"
                f" and negative prompts ({len(self.all_negative_prompts)})"
            )
        styles, known = self.styles, shared.prompt_styles
        self.all_prompts = [known.apply_styles_to_prompt(x, styles) for x in self.all_prompts]
        self.all_negative_prompts = [
            known.apply_negative_styles_to_prompt(x, styles) for x in self.all_negative_prompts
        ]
        self.main_prompt = self.all_prompts[0]
        self.main_negative_prompt = self.all_negative_prompts[0]

    def cached_params(
        self,
        required_prompts,
        steps,
        extra_network_data,
        hires_steps=None,
        use_old_scheduling=False,
    ) -> tuple:
        opts = shared.opts
        return (
            required_prompts,
            steps,
            hires_steps,
            use_old_scheduling,
            opts.CLIP_stop_at_last_layers,
            shared.sd_model.sd_checkpoint_info,
            extra_network_data,
            opts.sdxl_crop_left,
            opts.sdxl_crop_top,
            self.width,
            self.height,
            opts.emphasis,
        )

    def get_conds_with_caching(
        self, function, required_prompts, steps, caches, extra_network_data, hires_steps=None
    ):
        """`caches` are pairs [parameters, result] shared by all p; the first one is written."""
        old_way = shared.opts.use_old_scheduling
        params = self.cached_params(
            required_prompts, steps, extra_network_data, hires_steps, old_way
        )
        for cache in caches:
            if cache[0] is not None and params == cache[0]:
                return cache[1]
        with devices.autocast():
            caches[0][1] = function(shared.sd_model, required_prompts, steps, hires_steps, old_way)
        caches[0][0] = params
        return caches[0][1]

    def setup_conds(self) -> None:
        size = {"width": self.width, "height": self.height}
        prompts = prompt_parser.SdConditioning(self.prompts, **size)
        negative = prompt_parser.SdConditioning(
            self.negative_prompts, **size, is_negative_prompt=True
        )
        config = sd_samplers.find_sampler_config(self.sampler_name)
        total = config.total_steps(self.steps) if config else self.steps
        self.step_multiplier = total // self.steps
        self.firstpass_steps = total
        data = self.extra_network_data
        self.uc = self.get_conds_with_caching(
            prompt_parser.get_learned_conditioning, negative, total, [self.cached_uc], data
        )
        self.c = self.get_conds_with_caching(
            prompt_parser.get_multicond_learned_conditioning, prompts, total, [self.cached_c], data
        )

    def get_conds(self) -> tuple:
        return self.c, self.uc

    def parse_extra_network_prompts(self) -> None:
        self.prompts, self.extra_network_data = extra_networks.parse_prompts(self.prompts)

    def save_samples(self) -> bool:
        incomplete = state.interrupted or state.skipped
        return (
            shared.opts.samples_save
            and not self.do_not_save_samples
            and (shared.opts.save_incomplete_images or not incomplete)
        )


def _first(value):
    return value[0] if isinstance(value, list) else value


class Processed:
    """The result: pictures and what they were made with."""

    def __init__(
        self,
        p,
        images_list,
        seed=-1,
        info="",
        subseed=None,
        all_prompts=None,
        all_negative_prompts=None,
        all_seeds=None,
        all_subseeds=None,
        index_of_first_image=0,
        infotexts=None,
        comments="",
    ) -> None:
        opts = shared.opts
        self.images = images_list
        self.prompt = _first(p.prompt)
        self.negative_prompt = _first(p.negative_prompt)
        self.seed = -1 if seed is None else int(_first(seed))
        self.subseed = -1 if subseed is None else int(_first(subseed))
        self.info = info
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        for name in (
            "subseed_strength",
            "width",
            "height",
            "sampler_name",
            "cfg_scale",
            "steps",
            "batch_size",
            "restore_faces",
            "sd_model_name",
            "sd_model_hash",
            "sd_vae_name",
            "sd_vae_hash",
            "seed_resize_from_w",
            "seed_resize_from_h",
            "extra_generation_params",
            "styles",
            "token_merging_ratio",
            "token_merging_ratio_hr",
            "eta",
            "ddim_discretize",
            "s_churn",
            "s_tmin",
            "s_tmax",
            "s_noise",
            "s_min_uncond",
            "sampler_noise_scheduler_override",
            "is_using_inpainting_conditioning",
        ):
            setattr(self, name, getattr(p, name))
        self.image_cfg_scale = getattr(p, "image_cfg_scale", None)
        self.denoising_strength = getattr(p, "denoising_strength", None)
        self.face_restoration_model = opts.face_restoration_model if p.restore_faces else None
        self.index_of_first_image = index_of_first_image
        self.job_timestamp = state.job_timestamp
        self.clip_skip = opts.CLIP_stop_at_last_layers
        self.all_prompts = all_prompts or p.all_prompts or [self.prompt]
        self.all_negative_prompts = (
            all_negative_prompts or p.all_negative_prompts or [self.negative_prompt]
        )
        self.all_seeds = all_seeds or p.all_seeds or [self.seed]
        self.all_subseeds = all_subseeds or p.all_subseeds or [self.subseed]
        self.infotexts = infotexts or [info] * len(images_list)
        self.version = program_version()

    def js(self) -> str:
        """What the page and the API get. A value JSON does not know becomes null."""
        names = (
            "all_prompts",
            "all_negative_prompts",
            "seed",
            "all_seeds",
            "subseed",
            "all_subseeds",
            "subseed_strength",
            "width",
            "height",
            "sampler_name",
            "cfg_scale",
            "steps",
            "batch_size",
            "restore_faces",
            "face_restoration_model",
            "sd_model_name",
            "sd_model_hash",
            "sd_vae_name",
            "sd_vae_hash",
            "seed_resize_from_w",
            "seed_resize_from_h",
            "denoising_strength",
            "extra_generation_params",
            "index_of_first_image",
            "infotexts",
            "styles",
            "job_timestamp",
            "clip_skip",
            "is_using_inpainting_conditioning",
            "version",
        )
        values = {
            "prompt": self.all_prompts[0],
            "negative_prompt": self.all_negative_prompts[0],
            **{name: getattr(self, name) for name in names},
        }
        return json.dumps(values, default=lambda o: None)

    def infotext(self, p, index: int) -> str:
        return create_infotext(
            p,
            self.all_prompts,
            self.all_seeds,
            self.all_subseeds,
            comments=[],
            position_in_batch=index % self.batch_size,
            iteration=index // self.batch_size,
        )

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        return self.token_merging_ratio_hr if for_hr else self.token_merging_ratio


def create_random_tensors(
    shape,
    seeds,
    subseeds=None,
    subseed_strength=0.0,
    seed_resize_from_h=0,
    seed_resize_from_w=0,
    p=None,
) -> Tensor:
    return rng.ImageRNG(
        shape,
        seeds,
        subseeds=subseeds,
        subseed_strength=subseed_strength,
        seed_resize_from_h=seed_resize_from_h,
        seed_resize_from_w=seed_resize_from_w,
    ).next()


class DecodedSamples(list):
    already_decoded = True


def decode_latent_batch(model, batch, target_device=None, check_for_nans=False) -> DecodedSamples:
    if check_for_nans:
        devices.test_for_nans(batch, "unet")
    samples = DecodedSamples()
    for i in range(batch.shape[0]):
        sample = sd_samplers_common.decode_first_stage(model, batch[i : i + 1])[0]
        if check_for_nans:
            devices.test_for_nans(sample, "vae")
        samples.append(sample if target_device is None else sample.to(target_device))
    return samples


def get_fixed_seed(seed):
    """-1, nothing and nonsense mean a random one."""
    if seed is None or seed == "":
        seed = -1
    elif isinstance(seed, str):
        try:
            seed = int(seed)
        except ValueError:
            seed = -1
    return random.randrange(4294967294) if seed == -1 else seed


def fix_seed(p) -> None:
    p.seed = get_fixed_seed(p.seed)
    p.subseed = get_fixed_seed(p.subseed)
