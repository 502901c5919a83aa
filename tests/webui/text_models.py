"""Tiny files that only a real WebUI takes: a LoRA on the text encoder, an SD2-like checkpoint."""

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

LORA = "tiny_text_lora"
RANK = 2


def write_lora(models: Path) -> None:
    """A LoRA strong enough to see, on every block of SDXL's second text encoder."""
    generator = torch.Generator().manual_seed(5)
    tensors = {}
    for block in range(10):
        for layer, out, inner in (("mlp_fc1", 1024, 256), ("mlp_fc2", 256, 1024)):
            name = f"lora_te2_text_model_encoder_layers_{block}_{layer}"
            tensors |= {
                f"{name}.lora_up.weight": torch.randn(out, RANK, generator=generator),
                f"{name}.lora_down.weight": torch.randn(RANK, inner, generator=generator) * 0.1,
                f"{name}.alpha": torch.tensor(float(RANK)),
            }
    path = models / "Lora" / f"{LORA}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)


def write_sd2(models: Path) -> None:
    """tiny_sd15 with the text encoder of tiny_sdxl, whose tokens are wider, as SD2 is built."""
    folder = models / "Stable-diffusion"
    with safe_open(str(folder / "tiny_sd15.safetensors"), framework="pt") as file:
        tensors = {k: file.get_tensor(k) for k in file.keys() if "cond_stage" not in k}  # noqa: SIM118
        metadata = file.metadata()
    with safe_open(str(folder / "tiny_sdxl.safetensors"), framework="pt") as file:
        theirs = "conditioner.embedders.1."
        tensors |= {
            k.replace(theirs, "cond_stage_model."): file.get_tensor(k)
            for k in file.keys()  # noqa: SIM118
            if k.startswith(theirs)
        }
    for name, tensor in tensors.items():
        if "attn2.to_k" in name or "attn2.to_v" in name:
            tensors[name] = tensor.repeat(1, 4)
    save_file(tensors, folder / "tiny_sd2.safetensors", metadata=metadata)
    config = json.loads((folder / "tiny_sd15.yaml").read_text(encoding="utf-8"))
    params = config["model"]["params"]
    params["unet_config"]["params"]["context_dim"] = 256
    params["cond_stage_config"] = {
        "target": "ldm.modules.encoders.modules.FrozenOpenCLIPEmbedder",
        "params": {
            "arch": "ViT-S-32-alt",
            "version": "none",
            "freeze": True,
            "layer": "penultimate",
        },
    }
    (folder / "tiny_sd2.yaml").write_text(json.dumps(config, indent=1), encoding="utf-8")
