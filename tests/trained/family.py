"""The trained weights, kept small, and the files that a WebUI makes of them.

A checkpoint's file is mostly zeros (the word tables above all), so what is kept is what was
learned: one file for each stage. The rest is written out where a WebUI looks for it.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from tests.miniature.tiny import webui_config
from tests.miniature.tiny.files import write_safetensors, write_text

from .autoencoder import VAE
from .base import UNET
from .critic import Critic
from .files import State, write_adapter, write_checkpoint, write_image_encoder
from .judge import Judge

WEIGHTS = Path(__file__).parent / "weights"  # those that are part of the project
STAGES = ("text", "judge", "critic", "image", "base", "adapter", "style_adapter")
CHECKPOINT, ENCODER = "world_sdxl", "world_clip"
ADAPTER, STYLE_ADAPTER = "ip-adapter_world_sdxl", "ip-adapter_world_style_sdxl"


def keep_weights(networks: dict[str, nn.Module], folder: Path) -> list[Path]:
    """One float16 file for each stage in `folder`."""
    return [
        write_safetensors(
            folder / f"{name}.safetensors",
            {key: tensor.cpu().half() for key, tensor in networks[name].state_dict().items()},
            {"format": "pt"},
        )
        for name in STAGES
    ]


def kept_weights(folder: Path) -> dict[str, State]:
    """By stage. Raises FileNotFoundError where one is missing."""
    files = {name: folder / f"{name}.safetensors" for name in STAGES}
    for file in files.values():
        if not file.is_file():
            raise FileNotFoundError(f"{file} is missing: `make train` writes it at its end")
    return {name: load_file(file) for name, file in files.items()}


def write_family(weights: dict[str, State], models: Path) -> dict[str, Path]:
    """Checkpoint, image encoder and adapters under `models`, as a WebUI wants them; and the yaml
    and the tokenizer by which a real one builds its networks."""
    checkpoint = models / "Stable-diffusion" / f"{CHECKPOINT}.safetensors"
    encoder = models / "clip_vision" / f"{ENCODER}.safetensors"
    adapters = models / "ControlNet"
    tokenizer = webui_config.write_text_tower(models / "tiny_clip_text")
    write_text(
        checkpoint.with_suffix(".yaml"), webui_config.sdxl(tokenizer, UNET, VAE, velocity=True)
    )
    return {
        CHECKPOINT: write_checkpoint(checkpoint, weights["base"], weights["text"]),
        ENCODER: write_image_encoder(encoder, weights["image"]),
        ADAPTER: write_adapter(adapters / f"{ADAPTER}.safetensors", weights["adapter"]),
        STYLE_ADAPTER: write_adapter(
            adapters / f"{STYLE_ADAPTER}.safetensors", weights["style_adapter"]
        ),
    }


def judges_of(weights: dict[str, State]) -> tuple[Judge, Critic]:
    """Two networks that say which shape and which look a picture has, each in its own way."""
    judges = Judge(), Critic()
    for name, judge in zip(("judge", "critic"), judges, strict=True):
        judge.load_state_dict({key: tensor.float() for key, tensor in weights[name].items()})
        judge.eval().requires_grad_(False)
    return judges
