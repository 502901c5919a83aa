"""Tiny files for ControlNet: control models of the stock layout, encoders, an InstantID.

Their names are those that people's files have.

    python -m tests.webui.control_models FOLDER

writes the control models and the InstantID, for the folder models/ControlNet of a WebUI. One that
the tests start themselves gets all of them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.miniature.networks import SD15_TINY, SDXL_TINY, UNetConfig, UNetModel, unfilled
from tests.miniature.tiny import clip_vision, make_family
from tests.miniature.tiny.adapters import keys_and_values
from tests.miniature.tiny.checkpoints import Shapes, shapes_of
from tests.miniature.tiny.files import is_complete, write_safetensors
from tests.miniature.tiny.webui_config import unet_sizes
from tests.miniature.tiny.weights import random_state

PROBE = Path(__file__).parent / "controlnet_probe"
RECIPE = {"format": "pt", "control.recipe": "1"}
HINT = ((16, 3), (16, 16), (32, 16), (32, 32), (96, 32), (96, 96), (256, 96))
"""Channels out and in of the convolutions that bring a hint to the size of the latent."""

CONTROL = {
    "control_v11p_sd15_canny": SD15_TINY,
    "control_v11f1e_sd15_tile": SD15_TINY,
    "controlnet-canny-sdxl-1.0": SDXL_TINY,
    "controlnet-tile-sdxl-1.0": SDXL_TINY,
    "control_instant_id_sdxl": SDXL_TINY,
}
INSTANT_ID = "ip-adapter_instant_id_sdxl"
FACE = 512  # numbers of an InsightFace embedding


def prepare(data: Path) -> list[str]:
    """Write all of it for a WebUI with the data folder `data`; returns flags that name it."""
    annotators = data / "annotators"
    make_family(data, which=["CLIP-ViT-H-14", "CLIP-ViT-bigG"])
    write_control_models(data / "models" / "ControlNet")
    write_annotators(data / "models", annotators)
    os.environ["INSTANTSTYLE_TINY_SIZES"] = sizes()
    return ["--controlnet-annotator-models-path", str(annotators)]


def sizes() -> str:
    """What the extension in controlnet_probe tells ControlNet."""
    return json.dumps(
        {
            "sd15": controlnet_sizes(SD15_TINY),
            "sdxl": controlnet_sizes(SDXL_TINY),
            "clip": {
                "clip_h": clip_vision.VIT_H_TINY.transformers(),
                "clip_g": clip_vision.VIT_BIGG_TINY.transformers(),
            },
        }
    )


def controlnet_sizes(cfg: UNetConfig) -> dict[str, Any]:
    """All sizes of sd-webui-controlnet's table for the family of `cfg`, none left to its own."""
    heads = {"num_heads": cfg.num_heads, "num_head_channels": cfg.num_head_channels}
    return {
        **unet_sizes(cfg),
        "transformer_depth": list(cfg.depth),
        "transformer_depth_middle": cfg.depth_middle,
        "adm_in_channels": cfg.adm_in_channels,
        "use_linear_in_transformer": cfg.linear_projection,
        # A family is told one of the two, and has no entry for the other.
        **{name: number for name, number in heads.items() if number is not None},
    }


def write_control_models(folder: Path) -> None:
    """Control models, and an InstantID adapter."""
    described = {name: control_model(cfg) for name, cfg in CONTROL.items()}
    described[INSTANT_ID] = instant_id(SDXL_TINY)
    for name, shapes in described.items():
        path = folder / f"{name}.safetensors"
        if not is_complete(path, RECIPE):
            write_safetensors(path, random_state(shapes, 0, name), RECIPE)


def write_annotators(models: Path, folder: Path) -> None:
    """The image encoders of the family under the names that sd-webui-controlnet looks for."""
    (folder / "clip_vision").mkdir(parents=True, exist_ok=True)
    for theirs, ours in (("clip_h", "CLIP-ViT-H-14"), ("clip_g", "CLIP-ViT-bigG")):
        state = load_file(str(models / "clip_vision" / f"{ours}.safetensors"))
        state = {key: x.float() if x.is_floating_point() else x for key, x in state.items()}
        # A1111 reads archives of today's torch only in part.
        torch.save(
            state,
            folder / "clip_vision" / f"{theirs}.pth",
            _use_new_zipfile_serialization=False,
        )


def control_model(cfg: UNetConfig) -> Shapes:
    """The UNet's encoder, a stem for the hint, and an output for each skip connection."""
    with unfilled():
        unet = UNetModel(cfg)
    parts = ("time_embed.", "label_emb.", "input_blocks.", "middle_block.")
    shapes = {key: shape for key, shape in shapes_of(unet).items() if key.startswith(parts)}
    for place, (out, inner) in enumerate((*HINT, (cfg.model_channels, HINT[-1][0]))):
        shapes[f"input_hint_block.{2 * place}.weight"] = (out, inner, 3, 3)
        shapes[f"input_hint_block.{2 * place}.bias"] = (out,)
    widths = [cfg.model_channels]
    for level, mult in enumerate(cfg.channel_mult):
        last = level == len(cfg.channel_mult) - 1
        widths += [mult * cfg.model_channels] * (cfg.num_res_blocks + (not last))
    for place, width in enumerate(widths):
        shapes |= _one_by_one(f"zero_convs.{place}.0", width)
    return shapes | _one_by_one("middle_block_out.0", widths[-1])


def instant_id(cfg: UNetConfig, width: int = 1280, heads: int = 20) -> Shapes:
    """InstantID's Resampler, whose widths are fixed in its code, and keys and values."""
    inner, context = heads * 64, cfg.context_dim
    shapes: Shapes = {
        "latents": (1, 16, width),
        "proj_in.weight": (width, FACE),
        "proj_in.bias": (width,),
        "proj_out.weight": (context, width),
        "proj_out.bias": (context,),
        "norm_out.weight": (context,),
        "norm_out.bias": (context,),
    }
    for i in range(4):
        for norm in ("0.norm1", "0.norm2", "1.0"):
            shapes |= {f"layers.{i}.{norm}.{part}": (width,) for part in ("weight", "bias")}
        shapes[f"layers.{i}.0.to_q.weight"] = (inner, width)
        shapes[f"layers.{i}.0.to_kv.weight"] = (2 * inner, width)
        shapes[f"layers.{i}.0.to_out.weight"] = (width, inner)
        shapes[f"layers.{i}.1.1.weight"] = (4 * width, width)
        shapes[f"layers.{i}.1.3.weight"] = (width, 4 * width)
    return {f"image_proj.{key}": shape for key, shape in shapes.items()} | keys_and_values(cfg)


def _one_by_one(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width, width, 1, 1), f"{name}.bias": (width,)}


if __name__ == "__main__":
    write_control_models(Path(sys.argv[1]))
