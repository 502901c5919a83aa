"""Random IP-Adapters and towers for tests, in the real file formats."""

import torch
from safetensors.torch import save_file


def adapter_tensors(unet, embedding_width=24, tokens=4, seed=0, dtype=torch.float32):
    """A linear IP-Adapter with every layer of `unet` (found by find_layers)."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape, scale=1.0):
        return (torch.randn(*shape, generator=generator) * scale).to(dtype)

    width = unet.context_width
    tensors = {
        "image_proj.proj.weight": random(tokens * width, embedding_width, scale=0.2),
        "image_proj.proj.bias": random(tokens * width, scale=0.2),
        "image_proj.norm.weight": 1 + random(width, scale=0.1),
        "image_proj.norm.bias": random(width, scale=0.1),
    }
    for number, layer in unet.by_number.items():
        for end in ("to_k_ip", "to_v_ip"):
            tensors[f"ip_adapter.{number}.{end}.weight"] = random(layer.width, width, scale=0.3)
    return tensors


def as_diffusers(tensors):
    """The two sub-dictionaries that diffusers' loader takes."""
    return {
        part: {
            name.removeprefix(f"{part}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"{part}.")
        }
        for part in ("image_proj", "ip_adapter")
    }


def write(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    return path
