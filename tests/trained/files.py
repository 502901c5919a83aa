"""The trained networks as the files a WebUI reads: checkpoint, image encoder, IP-Adapter.

What the networks here leave out, because it does nothing, is written out as zeros: the layers of
the text towers that hand the words through, and the rows of words that the world has no use for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from tests.miniature.networks import AutoencoderKL, StableDiffusion, UNetModel, unfilled
from tests.miniature.networks.checkpoint import VELOCITY
from tests.miniature.networks.conditioner import Conditioner
from tests.miniature.networks.text import CLIP_L_TINY, OPEN_CLIP_TINY
from tests.miniature.tiny.files import write_safetensors

from .autoencoder import VAE, autoencoder_state
from .base import UNET
from .captions import row_ids, word_vector
from .world import SIDE

_CLIP = "conditioner.embedders.0.transformer.text_model."
_OPEN_CLIP = "conditioner.embedders.1.model."
_IMAGE_SIDE = 224  # pixels that an image encoder sees

State = Mapping[str, Tensor]


def write_checkpoint(path: Path, unet: State, text: State) -> Path:
    """UNet, autoencoder and both text towers in SDXL's layout, float16."""
    with unfilled():
        model = StableDiffusion(
            UNetModel(UNET), AutoencoderKL(VAE), Conditioner(CLIP_L_TINY, OPEN_CLIP_TINY)
        )
    parts = _under("model.diffusion_model.", unet)
    parts |= _under("first_stage_model.", autoencoder_state())
    parts |= _under(_OPEN_CLIP, _last_layer(text))
    ids = row_ids()
    parts[_CLIP + "embeddings.token_embedding.weight"] = _rows(ids, CLIP_L_TINY.width, clip=True)
    parts[_OPEN_CLIP + "token_embedding.weight"] = _rows(ids, OPEN_CLIP_TINY.width)
    state = {
        key: parts.get(key, torch.zeros(tensor.shape)) for key, tensor in model.state_dict().items()
    }
    if unknown := parts.keys() - state.keys():
        raise ValueError(f"no place in a checkpoint for {sorted(unknown)[:3]}")
    state[VELOCITY] = torch.zeros(0)
    metadata = {
        "miniature.num_head_channels": str(UNET.num_head_channels),
        "miniature.clip_heads": str(CLIP_L_TINY.heads),
        "miniature.open_clip_heads": str(OPEN_CLIP_TINY.heads),
    }
    return _write(path, state, metadata)


def write_image_encoder(path: Path, tower: State) -> Path:
    """Hugging Face's layout, for 224 pixels: the weight of a world pixel's colour becomes the
    weights of 7 x 7 pixels' mean."""
    scale = _IMAGE_SIDE // SIDE
    state = {key.removeprefix("tower."): tensor for key, tensor in tower.items()}
    patches = "vision_model.embeddings.patch_embedding.weight"
    wide = state[patches].repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    return _write(path, {**state, patches: wide / scale**2}, {})


def write_adapter(path: Path, adapter: State) -> Path:
    return _write(path, adapter, {})


def _write(path: Path, state: State, metadata: dict[str, str]) -> Path:
    halves = {key: tensor.detach().cpu().half() for key, tensor in state.items()}
    return write_safetensors(path, halves, {"format": "pt", **metadata})


def _under(prefix: str, state: State) -> dict[str, Tensor]:
    return {prefix + key: tensor for key, tensor in state.items()}


def _last_layer(state: State) -> dict[str, Tensor]:
    """The text tower's names in training -> OpenCLIP's."""
    layer = f"transformer.resblocks.{OPEN_CLIP_TINY.layers - 1}."
    named = {key.replace("block.", layer, 1): tensor for key, tensor in state.items()}
    named["text_projection"] = named.pop("projection")
    return named


def _rows(ids: Mapping[str, list[int]], width: int, clip: bool = False) -> Tensor:
    """A word table [vocabulary, width]. CLIP's own tower has no row for the filling: it fills with
    the end mark."""
    table = torch.zeros(OPEN_CLIP_TINY.vocabulary, width)
    for name, numbers in ids.items():
        if not (clip and name == "<filling>"):
            table[numbers] = word_vector(name, width)
    return table
