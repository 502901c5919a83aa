"""Random CLIP image towers for tests, in both layouts, with an oracle for each."""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

# width, layers, mlp, projection, activation; shapes as odd as those of the real ones
TOWERS = {
    "H": (80, 3, 320, 32, "gelu"),
    "bigG": (112, 2, 552, 40, "gelu"),
    "L": (1024, 2, 64, 24, "quick_gelu"),
}
HEADS = 16


def hugging_face_tower(name):
    """transformers' own tower, small and with weights wild enough to tell activations apart."""
    width, layers, mlp, projection, activation = TOWERS[name]
    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        projection_dim=projection,
        hidden_act=activation,
        image_size=224,
        patch_size=14,
    )
    torch.manual_seed(len(name))
    tower = CLIPVisionModelWithProjection(config).eval().requires_grad_(False)
    for parameter in tower.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return tower


def hugging_face_tensors(tower):
    """The tensors of a file that holds `tower`, with the integer buffer that older files have."""
    tensors = {k: v.contiguous() for k, v in tower.state_dict().items()}
    tensors = {
        k if k.startswith(("vision_model", "visual_")) else f"vision_model.{k}": v
        for k, v in tensors.items()
    }
    tensors["vision_model.embeddings.position_ids"] = torch.arange(257)[None]
    return tensors


def open_clip_tensors(name, seed=0):
    """Random tensors under OpenCLIP's names and shapes."""
    width, layers, mlp, projection, _ = TOWERS[name]
    generator = torch.Generator().manual_seed(seed)

    def random(*shape):
        scale = shape[-1] ** -0.5 if len(shape) > 1 else 0.2
        return torch.randn(*shape, generator=generator) * scale

    def norm(prefix):
        return {f"{prefix}.weight": 1 + random(width), f"{prefix}.bias": random(width)}

    tensors = {
        "visual.class_embedding": random(width),
        "visual.conv1.weight": random(width, 3, 14, 14) * 0.3,
        "visual.positional_embedding": random(257, width),
        "visual.proj": random(width, projection),
        **norm("visual.ln_pre"),
        **norm("visual.ln_post"),
    }
    for i in range(layers):
        prefix = f"visual.transformer.resblocks.{i}"
        tensors |= {
            **norm(f"{prefix}.ln_1"),
            **norm(f"{prefix}.ln_2"),
            f"{prefix}.attn.in_proj_weight": random(3 * width, width),
            f"{prefix}.attn.in_proj_bias": random(3 * width),
            f"{prefix}.attn.out_proj.weight": random(width, width),
            f"{prefix}.attn.out_proj.bias": random(width),
            f"{prefix}.mlp.c_fc.weight": random(mlp, width),
            f"{prefix}.mlp.c_fc.bias": random(mlp),
            f"{prefix}.mlp.c_proj.weight": random(width, mlp),
            f"{prefix}.mlp.c_proj.bias": random(width),
        }
    return tensors


def open_clip_reference(tensors, pixels, quick=False):
    """Image vectors, and the hidden states before the last block, of a tower in OpenCLIP's layout.

    A straight line through the layout with torch's own multi-head attention, which packs its
    projections as OpenCLIP does; it shares nothing with the code under test.
    """
    own = {name.removeprefix("visual."): tensor for name, tensor in tensors.items()}
    width = len(own["class_embedding"])

    def norm(x, name):
        return F.layer_norm(x, (width,), own[f"{name}.weight"], own[f"{name}.bias"])

    x = F.conv2d(pixels, own["conv1.weight"], stride=14).flatten(2).transpose(1, 2)
    classes = own["class_embedding"].expand(len(x), 1, width)
    x = norm(torch.cat([classes, x], dim=1) + own["positional_embedding"], "ln_pre")
    states = []
    for i in range(sum(name.endswith("ln_1.weight") for name in own)):
        states.append(x)
        prefix = f"transformer.resblocks.{i}."
        block = {n.removeprefix(prefix): t for n, t in own.items() if n.startswith(prefix)}
        attention = nn.MultiheadAttention(width, HEADS, batch_first=True)
        attention.load_state_dict(
            {n.removeprefix("attn."): t for n, t in block.items() if n.startswith("attn.")}
        )
        y = F.layer_norm(x, (width,), block["ln_1.weight"], block["ln_1.bias"])
        x = x + attention(y, y, y, need_weights=False)[0]
        y = F.layer_norm(x, (width,), block["ln_2.weight"], block["ln_2.bias"])
        y = F.linear(y, block["mlp.c_fc.weight"], block["mlp.c_fc.bias"])
        y = y * torch.sigmoid(1.702 * y) if quick else F.gelu(y)
        x = x + F.linear(y, block["mlp.c_proj.weight"], block["mlp.c_proj.bias"])
    return norm(x[:, 0], "ln_post") @ own["proj"], states[-1]


def text_half(layout, width=48):
    """Tensors of a text encoder, as stand beside the image encoder in a full CLIP file."""
    if layout == "Hugging Face":
        return {
            "text_model.embeddings.token_embedding.weight": torch.zeros(64, width),
            "text_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(4 * width, width),
            "text_projection.weight": torch.zeros(24, width),
            "logit_scale": torch.tensor(4.6),
        }
    return {
        "token_embedding.weight": torch.zeros(64, width),
        "transformer.resblocks.0.attn.in_proj_weight": torch.zeros(3 * width, width),
        "text_projection": torch.zeros(width, 24),
        "logit_scale": torch.tensor(4.6),
    }
