"""The whole set of files a WebUI needs to run: checkpoints, adapters, image encoders."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..networks import SD15_TINY, SDXL_TINY
from . import adapters, b_lora, checkpoints, clip_vision, webui_config
from .files import is_complete, write_safetensors, write_text
from .weights import random_state

# Raise this when weights, shapes or metadata change: files of an older recipe are written anew.
RECIPE = "3"

Description = tuple[checkpoints.Shapes, dict[str, str]]


@dataclass(frozen=True)
class Member:
    """One file: where it goes, what is in it, and the random stream its weights come from.

    Members of one stream share the weights of equal keys, as an inpainting checkpoint shares
    nearly all of its base model's.
    """

    folder: str
    describe: Callable[[], Description]
    stream: str
    yaml: Callable[[Path], str] | None = None


def _adapter(cfg, embed_dim: int) -> Callable[[], Description]:
    return lambda: (adapters.linear_adapter(cfg, embed_dim), {})


def _plus(cfg, hidden_width: int) -> Callable[[], Description]:
    return lambda: (adapters.plus_adapter(cfg, hidden_width), {})


def _vision(cfg: clip_vision.VisionConfig) -> Callable[[], Description]:
    return lambda: (clip_vision.vision_tower(cfg), {})


_H, _G = clip_vision.VIT_H_TINY, clip_vision.VIT_BIGG_TINY
_SD, _ADAPTERS, _VISION, _LORA = "Stable-diffusion", "ControlNet", "clip_vision", "Lora"
MEMBERS: dict[str, Member] = {
    "tiny_sdxl": Member(_SD, checkpoints.sdxl, "sdxl", webui_config.sdxl),
    "tiny_sd15": Member(_SD, checkpoints.sd15, "sd15", webui_config.sd15),
    "tiny_sd15_inpaint": Member(
        _SD, lambda: checkpoints.sd15(in_channels=9), "sd15", webui_config.sd15_inpaint
    ),
    "ip-adapter_sdxl": Member(_ADAPTERS, _adapter(SDXL_TINY, _G.embed_dim), "adapter-sdxl"),
    "ip-adapter_sdxl_vit-h": Member(
        _ADAPTERS, _adapter(SDXL_TINY, _H.embed_dim), "adapter-sdxl-vit-h"
    ),
    "ip-adapter_sd15": Member(_ADAPTERS, _adapter(SD15_TINY, _H.embed_dim), "adapter-sd15"),
    "ip-adapter-plus_sdxl_vit-h": Member(_ADAPTERS, _plus(SDXL_TINY, _H.width), "plus-sdxl"),
    "ip-adapter-plus_sd15": Member(_ADAPTERS, _plus(SD15_TINY, _H.width), "plus-sd15"),
    "tiny_b-lora_sdxl": Member(_LORA, lambda: (b_lora.b_lora(SDXL_TINY), {}), "b-lora"),
    "CLIP-ViT-H-14": Member(_VISION, _vision(_H), "clip-h"),
    "CLIP-ViT-bigG": Member(_VISION, _vision(_G), "clip-g"),
}


def make_family(
    root: Path, seed: int = 0, which: Iterable[str] | None = None, bpe: Path | None = None
) -> dict[str, Path]:
    """Write the files named in `which` (keys of MEMBERS; all by default) under root/models.

    Returns name -> path. A file that is already there, whole and of the same seed, is kept. With
    one seed the bytes are the same everywhere. `bpe` is OpenCLIP's packed vocabulary, needed only
    by a real WebUI's tokenizer (see webui_config).
    """
    names = list(MEMBERS if which is None else which)
    if unknown := sorted(set(names) - set(MEMBERS)):
        raise ValueError(f"unknown members {unknown}, expected some of {list(MEMBERS)}")
    models = Path(root).resolve() / "models"
    paths = {name: _write(models, name, seed) for name in names}
    configured = [name for name in names if MEMBERS[name].yaml]
    if configured:
        text_tower = webui_config.write_text_tower(models / "tiny_clip_text", bpe)
        for name in configured:
            write_text(paths[name].with_suffix(".yaml"), MEMBERS[name].yaml(text_tower))
    return paths


def _write(models: Path, name: str, seed: int) -> Path:
    member = MEMBERS[name]
    path = models / member.folder / f"{name}.safetensors"
    recipe = {"format": "pt", "miniature.recipe": f"{RECIPE}/{seed}"}
    if is_complete(path, recipe):  # before it is described, which takes longer
        return path
    shapes, metadata = member.describe()
    state: dict[str, Tensor] = random_state(shapes, seed, member.stream)
    if member.folder == _VISION:
        ids = torch.arange(clip_vision.POSITIONS)[None]
        state["vision_model.embeddings.position_ids"] = ids
    return write_safetensors(path, state, {**recipe, **metadata})
