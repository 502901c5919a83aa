"""A whole Stable Diffusion model from one .safetensors file, under the WebUI's attribute names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

from . import layout
from .conditioner import ClipEmbedder, Conditioner, sdxl_batch
from .unet import UNetModel
from .unfilled import unfilled
from .vae import AutoencoderKL


def alphas_cumprod(steps: int = 1000, start: float = 0.00085, end: float = 0.012) -> Tensor:
    """Stable Diffusion's noise schedule, float32 [steps]."""
    betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
    return (1.0 - betas).cumprod(0).float()


class DiffusionWrapper(nn.Module):
    """`model` of a checkpoint: the UNet and how its conditioning reaches it."""

    def __init__(self, diffusion_model: UNetModel) -> None:
        super().__init__()
        self.diffusion_model = diffusion_model
        # "hybrid": inpainting checkpoints also get the mask and the masked image as channels.
        inpaint = diffusion_model.in_channels == 9
        self.conditioning_key = "hybrid" if inpaint else "crossattn"


VELOCITY = "v_pred"  # a key by which SDXL checkpoints say that the UNet predicts the velocity


class StableDiffusion(nn.Module):
    """UNet, autoencoder and text encoders; SD1.5 and SDXL, base and inpainting.

    `cond_stage_model` is the text embedder (SD1.5) or the conditioner itself (SDXL).
    """

    is_sd2 = is_sd3 = is_ssd = False
    parameterization = "eps"  # or "v"
    cond_stage_key = "txt"
    latent_channels = 4

    def __init__(
        self,
        unet: UNetModel,
        vae: AutoencoderKL,
        text: ClipEmbedder | Conditioner,
    ) -> None:
        super().__init__()
        self.model = DiffusionWrapper(unet)
        self.first_stage_model = vae
        self.is_sdxl = isinstance(text, Conditioner)
        self.is_sd1 = not self.is_sdxl
        self.is_sdxl_inpaint = self.is_sdxl and unet.in_channels == 9
        self.scale_factor = 0.13025 if self.is_sdxl else 0.18215
        if self.is_sdxl:
            self.conditioner = text
        else:
            self.cond_stage_model = text
        self.register_buffer("alphas_cumprod", alphas_cumprod(), persistent=False)

    def __getattr__(self, name: str):
        # Registering one module under two names would double its keys in state_dict().
        if name == "cond_stage_model" and "conditioner" in self.__dict__.get("_modules", {}):
            return self.conditioner
        return super().__getattr__(name)

    @property
    def device(self) -> torch.device:
        return self.alphas_cumprod.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.diffusion_model.dtype

    @torch.no_grad()
    def get_learned_conditioning(self, prompts: Sequence[str]) -> Tensor | dict[str, Tensor]:
        """SD1.5: [B, 77 n, C]. SDXL: crossattn [B, 77 n, C] and vector [B, adm].

        `prompts` may carry `width`, `height` and `is_negative_prompt`, like the WebUI's own list;
        an empty SDXL negative prompt is all zeros, as in the WebUI.
        """
        if not self.is_sdxl:
            return self.cond_stage_model(prompts)
        empty = getattr(prompts, "is_negative_prompt", False) and all(p == "" for p in prompts)
        return self.conditioner(sdxl_batch(prompts, self.device), ["txt"] if empty else [])

    @torch.no_grad()
    def encode_first_stage(self, pixels: Tensor) -> Tensor:
        """Pixels [B, 3, 8h, 8w] in -1..1 -> scaled latents [B, 4, h, w]; the mean, not a sample."""
        mean, _ = self.first_stage_model.encode(pixels)
        return self.scale_factor * mean

    def get_first_stage_encoding(self, latents: Tensor) -> Tensor:
        """`encode_first_stage` already scales; this exists for callers that follow SD1.5's ways."""
        return latents

    @torch.no_grad()
    def decode_first_stage(self, latents: Tensor) -> Tensor:
        """Scaled latents [B, 4, h, w] -> pixels [B, 3, 8h, 8w], about -1..1."""
        latents = latents.to(self.first_stage_model.dtype)
        return self.first_stage_model.decode(latents / self.scale_factor)

    def apply_model(self, x: Tensor, t: Tensor, cond: dict) -> Tensor:
        """One UNet call, with the arguments in the order in which the WebUI passes them.

        SD1.5: cond = {"c_crossattn": [context], "c_concat": [extra channels]}; SDXL: cond =
        {"crossattn", "vector", "c_concat"}. Extra channels are used by inpainting models only.
        """
        unet = self.model.diffusion_model
        if unet.in_channels != x.shape[1]:
            x = torch.cat([x, *cond["c_concat"]], dim=1)
        if self.is_sdxl:
            return unet(x, timesteps=t, context=cond["crossattn"], y=cond["vector"])
        return unet(x, t, context=torch.cat(cond["c_crossattn"], dim=1))


def read_layout(path: Path | str) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Shapes of all tensors and the metadata of a .safetensors file; reads its header only."""
    with Path(path).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    metadata = header.pop("__metadata__", {})
    return {key: tuple(entry["shape"]) for key, entry in header.items()}, metadata


def build(shapes: layout.Shapes, metadata: dict[str, str] | None = None) -> StableDiffusion:
    """An empty model (on torch's default device) of the layout that `shapes` describe."""
    metadata = metadata or {}
    if layout.UNET + "input_blocks.0.0.weight" not in shapes:
        raise ValueError("not a Stable Diffusion checkpoint: it holds no model.diffusion_model")
    unet = UNetModel(layout.unet_config(layout.under(shapes, layout.UNET), metadata))
    vae = AutoencoderKL(layout.vae_config(layout.under(shapes, layout.VAE)))
    sd15 = layout.under(shapes, layout.SD15_TEXT)
    clip = layout.under(shapes, layout.SDXL_CLIP)
    open_clip = layout.under(shapes, layout.SDXL_OPEN_CLIP)
    text: ClipEmbedder | Conditioner
    if sd15:
        text = ClipEmbedder(layout.clip_config(sd15, metadata))
    elif clip and open_clip:
        text = Conditioner(
            layout.clip_config(clip, metadata), layout.open_clip_config(open_clip, metadata)
        )
    else:
        raise ValueError("neither the text encoder of SD1.5 nor the two of SDXL are in this file")
    return StableDiffusion(unet, vae, text)


def load_checkpoint(
    path: Path | str,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> StableDiffusion:
    """The model in a .safetensors checkpoint, ready to run. Shapes decide what it is.

    Raises ValueError for another kind of file and RuntimeError where keys are missing.
    """
    shapes, metadata = read_layout(path)
    with unfilled():
        model = build(shapes, metadata)
    with safe_open(str(path), framework="pt") as file:
        state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    ignored = [key for key in state if key.endswith(".position_ids")]
    for key in ignored:
        del state[key]
    if state.pop(VELOCITY, None) is not None:
        model.parameterization = "v"
    model.load_state_dict(state)
    model = model.to(device=device).eval().requires_grad_(False)
    for part in (model.model, model.first_stage_model, model.cond_stage_model):
        part.to(dtype)  # not the noise schedule, which stays float32
    return model
