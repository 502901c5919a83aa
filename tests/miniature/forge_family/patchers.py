"""Models in the patchers that Forge hands around, and the noise schedule inside the UNet's."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from .memory import cpu, module_size


class ModelPatcher:
    """A model, where it is loaded, and what is done to it for one sampling."""

    def __init__(self, model, load_device=cpu, offload_device=cpu, size=0, current_device=None):
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        self.current_device = current_device or offload_device
        self.size = size or module_size(model)
        self.model_options: dict[str, Any] = {"transformer_options": {}}

    def clone(self) -> ModelPatcher:
        twin = copy.copy(self)
        twin.model_options = copy.deepcopy(self.model_options)
        return twin

    def is_clone(self, other) -> bool:
        return self.model is getattr(other, "model", None)

    def memory_required(self, input_shape) -> float:
        return self.model.memory_required(input_shape)

    def model_dtype(self) -> torch.dtype:
        return self.model.diffusion_model.dtype


class Predictor(nn.Module):
    """Noise levels and timesteps; the UNet predicts the noise, or the velocity."""

    def __init__(self, alphas_cumprod: Tensor, velocity: bool = False) -> None:
        super().__init__()
        self.prediction_type = "v_prediction" if velocity else "epsilon"
        self.register_buffer("alphas_cumprod", alphas_cumprod)
        self.register_buffer("sigmas", ((1 - alphas_cumprod) / alphas_cumprod) ** 0.5)
        self.register_buffer("log_sigmas", self.sigmas.log())

    def timestep(self, sigma: Tensor) -> Tensor:
        """The nearest whole timestep, where A1111 takes fractions."""
        distance = sigma.log() - self.log_sigmas[:, None]
        return distance.abs().argmin(dim=0).view(sigma.shape)

    def calculate_input(self, sigma: Tensor, noisy: Tensor) -> Tensor:
        return noisy / (sigma[:, None, None, None] ** 2 + 1.0) ** 0.5

    def calculate_denoised(self, sigma: Tensor, output: Tensor, noisy: Tensor) -> Tensor:
        level = sigma[:, None, None, None]
        if self.prediction_type == "epsilon":
            return noisy - output * level
        return noisy / (level**2 + 1.0) - output * level / (level**2 + 1.0) ** 0.5

    def noise_scaling(self, sigma, noise, latent_image, max_denoise=False) -> Tensor:
        return noise * sigma + latent_image


class KModel(nn.Module):
    """What `forge_objects.unet.model` is: the UNet with its schedule."""

    def __init__(self, diffusion_model: nn.Module, predictor: Predictor) -> None:
        super().__init__()
        self.diffusion_model = diffusion_model
        self.predictor = predictor

    def apply_model(
        self, x, t, c_concat=None, c_crossattn=None, control=None, transformer_options=None, **extra
    ) -> Tensor:
        """x [R, 4, h, w], t [R] noise levels -> the denoised latents."""
        noisy = self.predictor.calculate_input(t, x)
        unet = self.diffusion_model
        if c_concat is not None and unet.in_channels != x.shape[1]:
            noisy = torch.cat([noisy, c_concat], dim=1)
        output = unet(
            noisy.to(unet.dtype),
            self.predictor.timestep(t).float(),
            context=c_crossattn.to(unet.dtype),
            control=control,
            transformer_options=transformer_options or {},
            **{name: value.to(unet.dtype) for name, value in extra.items()},
        )
        return self.predictor.calculate_denoised(t, output.float(), x)

    def memory_required(self, input_shape) -> float:
        """A guess from the size of the latents, in bytes."""
        rows, _, height, width = input_shape
        return rows * height * width * 1024.0


class ForgeObjects:
    def __init__(self, unet, clip, vae, clipvision=None) -> None:
        self.unet = unet
        self.clip = clip
        self.vae = vae
        self.clipvision = clipvision

    def shallow_copy(self) -> ForgeObjects:
        return copy.copy(self)


def forge_objects_of(model) -> ForgeObjects:
    """The parts of a loaded StableDiffusion, each in its patcher."""
    text = model.cond_stage_model
    predictor = Predictor(model.alphas_cumprod, model.parameterization == "v")
    unet = ModelPatcher(KModel(model.model.diffusion_model, predictor))
    clip = SimpleNamespace(cond_stage_model=text, patcher=ModelPatcher(text))
    vae = model.first_stage_model
    return ForgeObjects(
        unet,
        clip,
        SimpleNamespace(first_stage_model=vae, patcher=ModelPatcher(vae), latent_channels=4),
    )
