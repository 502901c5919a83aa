"""Stable Diffusion's networks in miniature, with the key names of real checkpoints.

model = load_checkpoint("tiny_sdxl.safetensors")
cond = model.get_learned_conditioning(["a cat"])
eps = model.model.diffusion_model(x, timesteps=t, context=cond["crossattn"], y=cond["vector"])
"""

from .attention import ATTENTIONS, CrossAttention, attention_by, use_attention
from .checkpoint import StableDiffusion, build, load_checkpoint, read_layout
from .unet import SD15_TINY, SDXL_TINY, UNetConfig, UNetModel
from .unfilled import unfilled
from .vae import VAE_TINY, AutoencoderKL, VAEConfig

__all__ = [
    "ATTENTIONS",
    "SD15_TINY",
    "SDXL_TINY",
    "VAE_TINY",
    "AutoencoderKL",
    "CrossAttention",
    "StableDiffusion",
    "UNetConfig",
    "UNetModel",
    "VAEConfig",
    "attention_by",
    "build",
    "load_checkpoint",
    "read_layout",
    "unfilled",
    "use_attention",
]
