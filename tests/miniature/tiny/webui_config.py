"""What a real WebUI needs beside the tiny weights: yaml configs and a CLIP tokenizer's files.

The miniature reads everything from the weights; AUTOMATIC1111's WebUI builds its networks from a
yaml of the checkpoint's name and the text tower from a folder that the yaml points to.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from pathlib import Path

from ..networks import SD15_TINY, SDXL_TINY, VAE_TINY, UNetConfig, VAEConfig
from ..networks.text import CLIP_L_TINY, OPEN_CLIP_TINY_ARCH
from ..networks.tokenizer import BOS, CONTEXT, EOS, VOCABULARY
from .files import write_text

# yaml is a superset of JSON: nested tables as JSON need no yaml writer and no indentation.


def _yaml(model: dict) -> str:
    return json.dumps({"model": model}, indent=1) + "\n"


def _attention_resolutions(cfg: UNetConfig) -> list[int]:
    return [2**level for level, depth in enumerate(cfg.depth) if depth]


def unet_sizes(cfg: UNetConfig) -> dict:
    """What differs from a UNet of full size, in the words of ldm, sgm and ControlNet."""
    return {
        "in_channels": cfg.in_channels,
        "model_channels": cfg.model_channels,
        "attention_resolutions": _attention_resolutions(cfg),
        "num_res_blocks": cfg.num_res_blocks,
        "channel_mult": list(cfg.channel_mult),
        "context_dim": cfg.context_dim,
    }


def _unet(cfg: UNetConfig, **extra) -> dict:
    return {
        **unet_sizes(cfg),
        "out_channels": cfg.out_channels,
        "use_spatial_transformer": True,
        "use_checkpoint": False,
        "legacy": False,
        **extra,
    }


def _vae_params(cfg: VAEConfig = VAE_TINY) -> dict:
    return {
        "embed_dim": cfg.embed_dim,
        "monitor": "val/rec_loss",
        "ddconfig": {
            "double_z": True,
            "z_channels": cfg.z_channels,
            "resolution": 256,
            "in_channels": 3,
            "out_ch": 3,
            "ch": cfg.ch,
            "ch_mult": list(cfg.ch_mult),
            "num_res_blocks": cfg.num_res_blocks,
            "attn_resolutions": [],
            "dropout": 0.0,
        },
        "lossconfig": {"target": "torch.nn.Identity"},
    }


def _sd15(text_tower: Path, target: str, conditioning_key: str, in_channels: int, **extra) -> str:
    unet = _unet(SD15_TINY, image_size=32, num_heads=SD15_TINY.num_heads, transformer_depth=1)
    unet["in_channels"] = in_channels
    params = {
        "linear_start": 0.00085,
        "linear_end": 0.0120,
        "num_timesteps_cond": 1,
        "timesteps": 1000,
        "first_stage_key": "jpg",
        "cond_stage_key": "txt",
        "image_size": 64,
        "channels": 4,
        "cond_stage_trainable": False,
        "conditioning_key": conditioning_key,
        "scale_factor": 0.18215,
        "unet_config": {
            "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
            "params": unet,
        },
        "first_stage_config": {
            "target": "ldm.models.autoencoder.AutoencoderKL",
            "params": _vae_params(),
        },
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder",
            "params": {"version": str(text_tower)},
        },
        **extra,
    }
    return _yaml({"target": f"ldm.models.diffusion.ddpm.{target}", "params": params})


def sd15(text_tower: Path) -> str:
    return _sd15(text_tower, "LatentDiffusion", "crossattn", 4, use_ema=False)


def sd15_inpaint(text_tower: Path) -> str:
    return _sd15(text_tower, "LatentInpaintDiffusion", "hybrid", 9, finetune_keys=None)


def sdxl(
    text_tower: Path,
    cfg: UNetConfig = SDXL_TINY,
    vae: VAEConfig = VAE_TINY,
    velocity: bool = False,
) -> str:
    """velocity: what the UNet predicts, in place of the noise."""
    encoders = "sgm.modules.encoders.modules."
    diffusion = "sgm.modules.diffusionmodules."

    def embedder(key: str, target: str, **params) -> dict:
        return {
            "is_trainable": False,
            "input_key": key,
            "target": encoders + target,
            "params": params,
        }

    clip = {"version": str(text_tower), "layer": "hidden", "layer_idx": CLIP_L_TINY.layers - 1}
    open_clip = {
        "arch": OPEN_CLIP_TINY_ARCH,
        "version": "none",
        "freeze": True,
        "layer": "penultimate",
        "always_return_pooled": True,
        "legacy": False,
    }
    sizes = ("original_size_as_tuple", "crop_coords_top_left", "target_size_as_tuple")
    embedders = [
        embedder("txt", "FrozenCLIPEmbedder", **clip),
        embedder("txt", "FrozenOpenCLIPEmbedder2", **open_clip),
        *(embedder(key, "ConcatTimestepEmbedderND", outdim=256) for key in sizes),
    ]
    unet = _unet(
        cfg,
        adm_in_channels=cfg.adm_in_channels,
        num_classes="sequential",
        num_head_channels=cfg.num_head_channels,
        use_linear_in_transformer=True,
        transformer_depth=[max(depth, 1) for depth in cfg.depth],
        spatial_transformer_attn_type="softmax",
    )
    scaling = "VScaling" if velocity else "EpsScaling"
    params = {
        "scale_factor": 0.13025,
        "disable_first_stage_autocast": True,
        "denoiser_config": {
            "target": diffusion + "denoiser.DiscreteDenoiser",
            "params": {
                "num_idx": 1000,
                "weighting_config": {"target": diffusion + "denoiser_weighting.EpsWeighting"},
                "scaling_config": {"target": diffusion + "denoiser_scaling." + scaling},
                "discretization_config": {
                    "target": diffusion + "discretizer.LegacyDDPMDiscretization"
                },
            },
        },
        "network_config": {"target": diffusion + "openaimodel.UNetModel", "params": unet},
        "conditioner_config": {
            "target": "sgm.modules.GeneralConditioner",
            "params": {"emb_models": embedders},
        },
        "first_stage_config": {
            "target": "sgm.models.autoencoder.AutoencoderKLInferenceWrapper",
            "params": _vae_params(vae),
        },
    }
    return _yaml({"target": "sgm.models.diffusion.DiffusionEngine", "params": params})


def write_text_tower(folder: Path, bpe: Path | None = None) -> Path:
    """A folder that `CLIPTokenizer` and a `CLIPTextModel` config can be loaded from."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    merges = read_merges(bpe or find_bpe())
    cfg = CLIP_L_TINY
    config = {
        "architectures": ["CLIPTextModel"],
        "model_type": "clip_text_model",
        "hidden_size": cfg.width,
        "intermediate_size": cfg.mlp_width,
        "num_hidden_layers": cfg.layers,
        "num_attention_heads": cfg.heads,
        "projection_dim": cfg.width,
        "max_position_embeddings": CONTEXT,
        "vocab_size": VOCABULARY,
        "hidden_act": "quick_gelu",
        "layer_norm_eps": 1e-5,
        "bos_token_id": 0,
        "eos_token_id": 2,  # what the real file says; the tokenizer's own ids are other ones
        "pad_token_id": 1,
    }
    tokenizer = {
        "tokenizer_class": "CLIPTokenizer",
        "do_lower_case": True,
        "bos_token": start,
        "eos_token": end,
        "pad_token": end,
        "unk_token": end,
        "model_max_length": CONTEXT,
    }
    units = byte_units()
    tokens = [*units, *(unit + "</w>" for unit in units)]
    tokens += ["".join(pair) for pair in merges]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    vocabulary |= {start: BOS, end: EOS}
    write_text(folder / "config.json", json.dumps(config, indent=1) + "\n")
    write_text(folder / "tokenizer_config.json", json.dumps(tokenizer, indent=1) + "\n")
    write_text(folder / "vocab.json", json.dumps(vocabulary) + "\n")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    write_text(folder / "merges.txt", "\n".join(lines) + "\n")
    return folder


def find_bpe() -> Path | None:
    """The byte-pair table that the open_clip package ships, if that package is installed."""
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("bpe_simple_vocab_16e6.txt.gz")
    return path if path.is_file() else None


def read_merges(bpe: Path | None) -> list[tuple[str, str]]:
    """CLIP's merges from the packed table; without one no merges, so one token per letter.

    One token per letter is a valid tokenizer, but in a real WebUI SDXL prompts over 75 letters
    then fail: its second text encoder counts words by the real table.
    """
    if bpe is None:
        return []
    lines = gzip.decompress(bpe.read_bytes()).decode().split("\n")
    pairs = VOCABULARY - 2 * 256 - 2
    return [(left, right) for left, right in (line.split() for line in lines[1 : pairs + 1])]


def byte_units() -> list[str]:
    """The 256 printable characters that stand for bytes, in the order of CLIP's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    return [chr(byte) for byte in printable] + [chr(256 + n) for n in range(len(others))]
