"""The files people have, in their real shapes: a header, and a hole where the numbers would be.

A hole takes no room on the disk, so even ViT-bigG costs nothing. Counts of parameters are the
published ones, which check the shapes written here.
"""

import json
import math
import struct
from types import SimpleNamespace

from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.unet.layers import CrossAttention, UnetLayers

CONTEXT = {"sd15": 768, "sdxl": 2048}
_WIDTHS = {  # of the blocks, in call order
    "sd15": [320] * 2 + [640] * 2 + [1280] * 3 + [1280] * 3 + [640] * 3 + [320] * 3,
    "sdxl": [640] * 2 + [1280] * 3 + [1280] * 3 + [640] * 3,
}


def layer_widths(layout):
    return {layer.number: _WIDTHS[layout.id][layer.block.index] for layer in layout.layers}


def stock_unet(layout):
    """What find_layers says of a real checkpoint."""
    by_number = {
        number: CrossAttention(layout.by_number[number], SimpleNamespace(), width, width // 64)
        for number, width in layer_widths(layout).items()
    }
    return UnetLayers(layout, CONTEXT[layout.id], by_number)


def attention(layout):
    return {
        f"ip_adapter.{number}.{end}.weight": (width, CONTEXT[layout.id])
        for number, width in layer_widths(layout).items()
        for end in ("to_k_ip", "to_v_ip")
    }


def _norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name, rows, columns):
    return {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}


def linear(context, embedding, tokens=4):
    return {**_linear("proj", tokens * context, embedding), **_norm("norm", context)}


def resampler(context, hidden, width, inner=None, tokens=16, depth=4):
    inner = inner or width
    shapes = {
        "latents": (1, tokens, width),
        **_linear("proj_in", width, hidden),
        **_linear("proj_out", context, width),
        **_norm("norm_out", context),
    }
    for i in range(depth):
        shapes |= {
            **_norm(f"layers.{i}.0.norm1", width),
            **_norm(f"layers.{i}.0.norm2", width),
            f"layers.{i}.0.to_q.weight": (inner, width),
            f"layers.{i}.0.to_kv.weight": (2 * inner, width),
            f"layers.{i}.0.to_out.weight": (width, inner),
            **_norm(f"layers.{i}.1.0", width),
            f"layers.{i}.1.1.weight": (4 * width, width),
            f"layers.{i}.1.3.weight": (width, 4 * width),
        }
    return shapes


def mlp(context, hidden):
    return {
        **_linear("proj.0", hidden, hidden),
        **_linear("proj.2", context, hidden),
        **_norm("proj.3", context),
    }


def face(context, tokens):
    return {
        **_linear("proj.0", 1024, 512),
        **_linear("proj.2", tokens * context, 1024),
        **_norm("norm", context),
    }


def face_plus(context, width):
    inner = resampler(width, 1280, width, tokens=4)
    del inner["latents"]
    inner = {f"perceiver_resampler.{name}": shape for name, shape in inner.items()}
    return {**face(context, 4), **inner}


def _lora(layout, rank=128):
    """FaceID's LoRA, on self- and cross-attention."""
    shapes = {}
    for number, width in layer_widths(layout).items():
        for n in (number - 1, number):
            for part in ("q", "k", "v", "out"):
                shapes[f"ip_adapter.{n}.to_{part}_lora.down.weight"] = (rank, width)
                shapes[f"ip_adapter.{n}.to_{part}_lora.up.weight"] = (width, rank)
    return shapes


def adapter(layout, projection, extra=None):
    named = {f"image_proj.{name}": shape for name, shape in projection.items()}
    return {**named, **attention(layout), **(extra or {})}


ADAPTERS = {  # shapes and published number of parameters
    "ip-adapter_sd15": (adapter(SD15, linear(768, 1024)), 22_319_616),
    "ip-adapter_sd15_light": (adapter(SD15, linear(768, 1024)), 22_319_616),
    "ip-adapter_sd15_vit-G": (adapter(SD15, linear(768, 1280)), 23_106_048),
    "ip-adapter-plus_sd15": (adapter(SD15, resampler(768, 1280, 768)), 49_087_488),
    "ip-adapter-plus-face_sd15": (adapter(SD15, resampler(768, 1280, 768)), 49_087_488),
    "ip-adapter-full-face_sd15": (adapter(SD15, mlp(768, 1280)), 21_794_304),
    "ip_plus_composition_sd15": (adapter(SD15, resampler(768, 1280, 768)), 49_087_488),
    "ip-adapter_sdxl": (adapter(SDXL, linear(2048, 1280)), 351_285_248),
    "ip-adapter_sdxl_vit-h": (adapter(SDXL, linear(2048, 1024)), 349_188_096),
    "ip-adapter-plus_sdxl_vit-h": (adapter(SDXL, resampler(2048, 1280, 1280)), 423_748_864),
    "ip-adapter-plus-face_sdxl_vit-h": (adapter(SDXL, resampler(2048, 1280, 1280)), 423_748_864),
    "ip_plus_composition_sdxl": (adapter(SDXL, resampler(2048, 1280, 1280)), 423_748_864),
}
_MAPPED = {"image_proj.mapping_0.0.weight": (1024, 1024)}
FOREIGN = {  # shapes, and what the refusal calls them
    "ip-adapter-faceid_sd15": (adapter(SD15, face(768, 4), _lora(SD15)), "a FaceID adapter"),
    "ip-adapter-faceid_sdxl": (adapter(SDXL, face(2048, 4), _lora(SDXL)), "a FaceID adapter"),
    "ip-adapter-faceid-portrait-v11_sd15": (
        adapter(SD15, face(768, 16)),
        "a FaceID-Portrait adapter",
    ),
    "ip-adapter-faceid-portrait_sdxl": (
        adapter(SDXL, face(2048, 16)),
        "a FaceID-Portrait adapter",
    ),
    "ip-adapter-faceid-plusv2_sd15": (
        adapter(SD15, face_plus(768, 768), _lora(SD15)),
        "a FaceID-Plus adapter",
    ),
    "ip-adapter-faceid-plusv2_sdxl": (
        adapter(SDXL, face_plus(2048, 2048), _lora(SDXL)),
        "a FaceID-Plus adapter",
    ),
    "instantid": (adapter(SDXL, resampler(2048, 512, 1280)), "an InstantID adapter"),
    "portrait_sdxl_unnorm": (adapter(SDXL, resampler(2048, 512, 1280)), "an InstantID adapter"),
    "kolors_ip_adapter_plus": (
        adapter(SDXL, resampler(2048, 1024, 2048, inner=768)),
        "a Kolors adapter",
    ),
    "kolors_faceid_plus": (adapter(SDXL, face_plus(2048, 4096)), "a Kolors FaceID adapter"),
    "pulid_v1.1": (
        {
            "id_adapter.latents": (1, 32, 1024),
            "id_adapter.mapping_0.0.weight": (1024, 1024),
            "id_adapter_attn_layers.1.id_to_k.weight": (640, 2048),
        },
        "a PuLID adapter",
    ),
    "ip-adapter_pulid_sdxl_fp16": (adapter(SDXL, {}, _MAPPED), "a PuLID adapter"),
    "pulid_flux": ({"pulid_ca.0.to_q.weight": (2048, 3072)}, "a PuLID adapter"),
    "sd3.5-large-ip-adapter": (
        {
            "image_proj.latents": (1, 64, 1280),
            "image_proj.proj_in.weight": (1280, 1152),
            "image_proj.time_embedding.linear_1.weight": (1280, 320),
            "ip_adapter.0.to_k_ip.weight": (2432, 2432),
            "ip_adapter.0.to_v_ip.weight": (2432, 2432),
            "ip_adapter.0.norm_ip.linear.weight": (4864, 1280),
        },
        "an adapter for Stable Diffusion 3",
    ),
    "flux-ip-adapter (XLabs)": (
        {
            "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight": (3072, 4096),
            "ip_adapter_proj_model.proj.weight": (16384, 768),
        },
        "an adapter for Flux",
    ),
    "flux.1-dev-ip-adapter (InstantX)": (
        {
            **{f"image_proj.{n}": s for n, s in face(4096, 128).items()},
            "ip_adapter.0.to_k_ip.weight": (3072, 4096),
            "ip_adapter.0.to_v_ip.weight": (3072, 4096),
            "ip_adapter.0.to_k_ip.bias": (3072,),
            "ip_adapter.0.to_v_ip.bias": (3072,),
        },
        "an adapter for Flux",
    ),
}


def hugging_face_encoder(width, layers, mlp_width, embedding):
    shapes = {
        "vision_model.embeddings.class_embedding": (width,),
        "vision_model.embeddings.patch_embedding.weight": (width, 3, 14, 14),
        "vision_model.embeddings.position_embedding.weight": (257, width),
        "visual_projection.weight": (embedding, width),
        **_norm("vision_model.pre_layrnorm", width),
        **_norm("vision_model.post_layernorm", width),
    }
    for i in range(layers):
        prefix = f"vision_model.encoder.layers.{i}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= _linear(f"{prefix}.self_attn.{name}", width, width)
        shapes |= _norm(f"{prefix}.layer_norm1", width) | _norm(f"{prefix}.layer_norm2", width)
        shapes |= _linear(f"{prefix}.mlp.fc1", mlp_width, width)
        shapes |= _linear(f"{prefix}.mlp.fc2", width, mlp_width)
    return shapes


def open_clip_encoder(width, layers, mlp_width, embedding):
    shapes = {
        "visual.class_embedding": (width,),
        "visual.conv1.weight": (width, 3, 14, 14),
        "visual.positional_embedding": (257, width),
        "visual.proj": (width, embedding),
        **_norm("visual.ln_pre", width),
        **_norm("visual.ln_post", width),
    }
    for i in range(layers):
        prefix = f"visual.transformer.resblocks.{i}"
        shapes |= {
            f"{prefix}.attn.in_proj_weight": (3 * width, width),
            f"{prefix}.attn.in_proj_bias": (3 * width,),
            **_linear(f"{prefix}.attn.out_proj", width, width),
            **_norm(f"{prefix}.ln_1", width),
            **_norm(f"{prefix}.ln_2", width),
            **_linear(f"{prefix}.mlp.c_fc", mlp_width, width),
            **_linear(f"{prefix}.mlp.c_proj", width, mlp_width),
        }
    return shapes


ENCODERS = {  # width, layers, MLP width, width of the image vector, published number of parameters
    "ViT-L": (1024, 24, 4096, 768, 303_966_208),
    "ViT-H": (1280, 32, 5120, 1024, 632_076_800),
    "ViT-bigG": (1664, 48, 8192, 1280, 1_844_907_264),
}


def count(shapes):
    return sum(math.prod(shape) for shape in shapes.values())


def write_hole(path, shapes, dtype="F16"):
    """A .safetensors file (whatever its ending) with `shapes`, its numbers a hole of zeros."""
    width = {"F16": 2, "BF16": 2, "F32": 4, "F8_E4M3": 1, "I8": 1}[dtype]
    header, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + math.prod(shape) * width
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (
        -len(text) % 8
    )  # as safetensors writes it: numbers in a mapped file are aligned
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return path
