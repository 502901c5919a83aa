"""Image to image, with masks: the whole picture, or only the masked part at full resolution."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from modules import (
    devices,
    host,
    images,
    masking,
    scripts,
    sd_hijack,
    sd_samplers,
    sd_samplers_common,
    shared,
)
from modules.processing_base import (
    StableDiffusionProcessing,
    create_random_tensors,
    opt_f,
)
from PIL import Image, ImageOps


def create_binary_mask(image: Image.Image, round: bool = True) -> Image.Image:
    """A mask may come as transparency or as brightness."""
    if image.mode == "RGBA" and image.getextrema()[-1] != (255, 255):
        alpha = image.split()[-1].convert("L")
        return alpha.point(lambda x: 255 if x > 128 else 0) if round else alpha
    return image.convert("L")


def _blur(mask: Image.Image, sigma: int, axis: int) -> Image.Image:
    """Gaussian blur along one axis of a mask, with the kernel size that A1111 asks OpenCV for."""
    half = int(2.5 * sigma + 0.5)
    kernel = np.exp(-(np.arange(-half, half + 1) ** 2) / (2.0 * sigma**2))
    kernel /= kernel.sum()
    array = np.array(mask, dtype=np.float64)
    edges = [(0, 0), (0, 0)]
    edges[axis] = (half, half)
    padded = np.pad(array, edges, mode="reflect")
    blurred = sum(
        weight * np.take(padded, range(i, i + array.shape[axis]), axis)
        for i, weight in enumerate(kernel)
    )
    return Image.fromarray(np.rint(blurred).astype(np.uint8))


@dataclass(repr=False)
class StableDiffusionProcessingImg2Img(StableDiffusionProcessing):
    init_images: list = None
    resize_mode: int = 0
    denoising_strength: float = 0.75
    image_cfg_scale: float = None
    mask: Any = None
    mask_blur_x: int = 4
    mask_blur_y: int = 4
    mask_blur: int = None
    mask_round: bool = True
    inpainting_fill: int = 0
    inpaint_full_res: bool = True
    inpaint_full_res_padding: int = 0
    inpainting_mask_invert: int = 0
    initial_noise_multiplier: float = None
    latent_mask: Image = None
    force_task_id: str = None

    image_mask: Any = field(default=None, init=False)
    nmask: torch.Tensor = field(default=None, init=False)
    image_conditioning: torch.Tensor = field(default=None, init=False)
    init_img_hash: str = field(default=None, init=False)
    mask_for_overlay: Image = field(default=None, init=False)
    init_latent: torch.Tensor = field(default=None, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.image_mask = self.mask
        self.mask = None
        if self.initial_noise_multiplier is None:
            self.initial_noise_multiplier = shared.opts.initial_noise_multiplier

    @property
    def mask_blur(self):  # noqa: F811
        return self.mask_blur_x if self.mask_blur_x == self.mask_blur_y else None

    @mask_blur.setter
    def mask_blur(self, value) -> None:
        if isinstance(value, int):
            self.mask_blur_x = self.mask_blur_y = value

    def _prepare_mask(self) -> tuple[Image.Image | None, tuple | None]:
        """(the mask at the size of the sampling, the region of the picture it covers or None)."""
        params = self.extra_generation_params
        mask = create_binary_mask(self.image_mask, round=self.mask_round)
        if self.inpainting_mask_invert:
            mask = ImageOps.invert(mask)
            params["Mask mode"] = "Inpaint not masked"
        if self.mask_blur_x > 0:
            mask = _blur(mask, self.mask_blur_x, axis=1)
        if self.mask_blur_y > 0:
            mask = _blur(mask, self.mask_blur_y, axis=0)
        if self.mask_blur_x > 0 or self.mask_blur_y > 0:
            params["Mask blur"] = self.mask_blur
        self.overlay_images = []
        if not self.inpaint_full_res:
            mask = images.resize_image(self.resize_mode, mask, self.width, self.height)
            doubled = np.clip(np.array(mask).astype(np.float32) * 2, 0, 255).astype(np.uint8)
            self.mask_for_overlay = Image.fromarray(doubled)
            return mask, None

        region = masking.get_crop_region_v2(mask, self.inpaint_full_res_padding)
        if region is None:
            self.mask_for_overlay = None
            self.inpaint_full_res = False
            message = (
                'Unable to perform "Inpaint Only mask" because mask is blank, switch to img2img'
                " mode."
            )
            sd_hijack.model_hijack.comments.append(message)
            logging.info(message)
            return None, None
        self.mask_for_overlay = mask
        region = masking.expand_crop_region(
            region, self.width, self.height, mask.width, mask.height
        )
        x1, y1, x2, y2 = region
        self.paste_to = (x1, y1, x2 - x1, y2 - y1)
        params["Inpaint area"] = "Only masked"
        params["Masked area padding"] = self.inpaint_full_res_padding
        return images.resize_image(2, mask.crop(region), self.width, self.height), region

    def _prepare_image(self, img, mask, latent_mask, region) -> np.ndarray:
        """One source picture -> [3, H, W] in 0..1; remembers what is laid over the result."""
        if shared.opts.save_init_img:
            self.init_img_hash = hashlib.md5(img.tobytes(), usedforsecurity=False).hexdigest()
            images.save_image(
                img,
                path=shared.opts.outdir_init_images,
                basename=None,
                forced_filename=self.init_img_hash,
                save_to_dirs=False,
                existing_info=img.info,
            )
        image = images.flatten(img, shared.opts.img2img_background_color)
        if region is None and self.resize_mode != 3:
            image = images.resize_image(self.resize_mode, image, self.width, self.height)
        if mask is not None:
            if self.mask_for_overlay.size != image.size:
                self.mask_for_overlay = images.resize_image(
                    self.resize_mode, self.mask_for_overlay, image.width, image.height
                )
            kept = Image.new("RGBa", image.size)
            outside = ImageOps.invert(self.mask_for_overlay.convert("L"))
            kept.paste(image.convert("RGBA").convert("RGBa"), mask=outside)
            self.overlay_images.append(kept.convert("RGBA"))
        if region is not None:
            image = images.resize_image(2, image.crop(region), self.width, self.height)
        if mask is not None and self.inpainting_fill != 1:
            image = masking.fill(image, latent_mask)
            if self.inpainting_fill == 0:
                self.extra_generation_params["Masked content"] = "fill"
        return np.moveaxis(np.array(image).astype(np.float32) / 255.0, 2, 0)

    def init(self, all_prompts, all_seeds, all_subseeds) -> None:
        self.extra_generation_params["Denoising strength"] = self.denoising_strength
        if getattr(shared.sd_model, "cond_stage_key", "txt") != "edit":
            self.image_cfg_scale = None
        self.sampler = sd_samplers.create_sampler(self.sampler_name, self.sd_model)
        mask, region = (None, None) if self.image_mask is None else self._prepare_mask()
        latent_mask = self.latent_mask if self.latent_mask is not None else mask
        arrays = [self._prepare_image(x, mask, latent_mask, region) for x in self.init_images]

        if len(arrays) == 1:
            batch = np.expand_dims(arrays[0], axis=0).repeat(self.batch_size, axis=0)
            if self.overlay_images is not None:
                self.overlay_images = self.overlay_images * self.batch_size
        elif len(arrays) <= self.batch_size:
            self.batch_size = len(arrays)
            batch = np.array(arrays)
        else:
            raise RuntimeError(
                f"bad number of images passed: {len(arrays)}; expecting {self.batch_size} or less"
            )
        pixels = torch.from_numpy(batch).to(shared.device, dtype=devices.dtype_vae)
        self.init_latent = sd_samplers_common.images_tensor_to_samples(pixels, model=self.sd_model)
        if self.resize_mode == 3:
            self.init_latent = torch.nn.functional.interpolate(
                self.init_latent, size=(self.height // opt_f, self.width // opt_f), mode="bilinear"
            )
        if mask is not None:
            self._prepare_latent_mask(latent_mask, all_seeds)
        self.image_conditioning = self.img2img_image_conditioning(
            pixels * 2 - 1, self.init_latent, mask, self.mask_round
        )

    def _prepare_latent_mask(self, latent_mask: Image.Image, all_seeds) -> None:
        """`nmask` is 1 where something new is made, `mask` where the original stays."""
        latent = self.init_latent
        small = latent_mask.convert("RGB").resize((latent.shape[3], latent.shape[2]))
        array = np.moveaxis(np.array(small, dtype=np.float32), 2, 0)[0] / 255
        array = np.around(array) if self.mask_round else array
        array = np.tile(array[None], (latent.shape[1], 1, 1))
        self.mask = torch.asarray(1.0 - array).to(shared.device).type(devices.dtype)
        self.nmask = torch.asarray(array).to(shared.device).type(devices.dtype)
        params = self.extra_generation_params
        if self.inpainting_fill == 2:
            noise = create_random_tensors(latent.shape[1:], all_seeds[: latent.shape[0]])
            self.init_latent = latent * self.mask + noise * self.nmask
            params["Masked content"] = "latent noise"
        elif self.inpainting_fill == 3:
            self.init_latent = latent * self.mask
            params["Masked content"] = "latent nothing"

    def sample(
        self, conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts
    ):
        x = self.rng.next()
        if self.initial_noise_multiplier != 1.0:
            self.extra_generation_params["Noise multiplier"] = self.initial_noise_multiplier
            x *= self.initial_noise_multiplier
        host.begin_pass(self)
        if self.scripts is not None:
            self.scripts.process_before_every_sampling(
                p=self, x=self.init_latent, noise=x, c=conditioning, uc=unconditional_conditioning
            )
        samples = self.sampler.sample_img2img(
            self,
            self.init_latent,
            x,
            conditioning,
            unconditional_conditioning,
            image_conditioning=self.image_conditioning,
        )
        if self.mask is None:
            return samples
        blended = samples * self.nmask + self.init_latent * self.mask
        if self.scripts is not None:
            args = scripts.MaskBlendArgs(samples, self.nmask, self.init_latent, self.mask, blended)
            self.scripts.on_mask_blend(self, args)
            blended = args.blended_latent
        return blended

    def get_token_merging_ratio(self, for_hr: bool = False) -> float:
        opts = shared.opts
        overridden = "token_merging_ratio" in self.override_settings and opts.token_merging_ratio
        return (
            self.token_merging_ratio
            or overridden
            or opts.token_merging_ratio_img2img
            or opts.token_merging_ratio
        )
