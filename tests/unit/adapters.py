"""Random IP-Adapters for tests: every kind of projection, in every layout and file format."""

import torch
from safetensors.torch import save_file

RESAMPLER_WIDTH = 128  # two heads of 64; what the oracle derives its heads from


class Noise:
    """A stream of seeded random tensors."""

    def __init__(self, seed=0, dtype=torch.float32):
        self._generator = torch.Generator().manual_seed(seed)
        self._dtype = dtype

    def __call__(self, *shape, scale=1.0):
        return (torch.randn(*shape, generator=self._generator) * scale).to(self._dtype)

    def norm(self, prefix, width):
        return {
            f"{prefix}.weight": 1 + self(width, scale=0.1),
            f"{prefix}.bias": self(width, scale=0.1),
        }

    def linear(self, prefix, rows, columns, bias=True):
        weight = {f"{prefix}.weight": self(rows, columns, scale=columns**-0.5)}
        return weight | ({f"{prefix}.bias": self(rows, scale=0.2)} if bias else {})


def linear_projection(noise, context_width, embedding_width, tokens=4):
    """ip-adapter_sd15, _sdxl, ...: CLIP's image vector through one layer."""
    return {
        **noise.linear("proj", tokens * context_width, embedding_width),
        **noise.norm("norm", context_width),
    }


def resampler_projection(noise, context_width, hidden_width, tokens=16, depth=4):
    """ip-adapter-plus_*: learned queries."""
    width = RESAMPLER_WIDTH
    tensors = {
        "latents": noise(1, tokens, width),
        **noise.linear("proj_in", width, hidden_width),
        **noise.linear("proj_out", context_width, width),
        **noise.norm("norm_out", context_width),
    }
    for i in range(depth):
        attention, feed_forward = f"layers.{i}.0", f"layers.{i}.1"
        tensors |= {
            **noise.norm(f"{attention}.norm1", width),
            **noise.norm(f"{attention}.norm2", width),
            **noise.linear(f"{attention}.to_q", width, width, bias=False),
            **noise.linear(f"{attention}.to_kv", 2 * width, width, bias=False),
            **noise.linear(f"{attention}.to_out", width, width, bias=False),
            **noise.norm(f"{feed_forward}.0", width),
            **noise.linear(f"{feed_forward}.1", 4 * width, width, bias=False),
            **noise.linear(f"{feed_forward}.3", width, 4 * width, bias=False),
        }
    return tensors


def mlp_projection(noise, context_width, hidden_width):
    """ip-adapter-full-face_sd15: two layers on each hidden state."""
    return {
        **noise.linear("proj.0", hidden_width, hidden_width),
        **noise.linear("proj.2", context_width, hidden_width),
        **noise.norm("proj.3", context_width),
    }


PROJECTIONS = {
    "linear": linear_projection,
    "plus": resampler_projection,
    "full-face": mlp_projection,
}


def attention_tensors(noise, layer_widths, context_width):
    """`N.to_k_ip.weight` and `N.to_v_ip.weight` for {N: width}."""
    return {
        f"{number}.{end}.weight": noise(width, context_width, scale=0.3)
        for number, width in layer_widths.items()
        for end in ("to_k_ip", "to_v_ip")
    }


def prefixed(prefix, tensors):
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def adapter_tensors(
    unet, embedding_width=24, tokens=4, seed=0, dtype=torch.float32, projection="linear"
):
    """An IP-Adapter with every layer of `unet` (found by find_layers).

    embedding_width: of what the projection takes, image vectors or hidden states.
    """
    noise = Noise(seed, dtype)
    width = unet.context_width
    arguments = (tokens,) if projection == "linear" else ()
    widths = {number: layer.width for number, layer in unet.by_number.items()}
    return {
        **prefixed(
            "image_proj", PROJECTIONS[projection](noise, width, embedding_width, *arguments)
        ),
        **prefixed("ip_adapter", attention_tensors(noise, widths, width)),
    }


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
    """A .safetensors file of flat `tensors`, or for another ending one of torch.save."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path
