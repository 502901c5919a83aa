"""Random CLIP image encoders for tests, in both layouts, with an oracle for each."""

import functools

import torch
from torch import nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.unit.image_processor import CLIPImageProcessor
from tests.unit.open_clip_encoders import QuickGELU, VisionTransformer
from tests.unit.pictures import reference

# width, layers, mlp, projection, activation; shapes as odd as those of the real ones
ENCODERS = {
    "H": (80, 3, 320, 32, "gelu"),
    "bigG": (112, 2, 552, 40, "gelu"),
    "L": (1024, 2, 64, 24, "quick_gelu"),
}
HEADS = 16


@functools.cache
def hugging_face_encoder(name):
    """transformers' own encoder, small and with weights wild enough to tell activations apart."""
    width, layers, mlp, projection, activation = ENCODERS[name]
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
    network = CLIPVisionModelWithProjection(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def hugging_face_tensors(network):
    """The tensors of a file that holds `network`, with the integer buffer that older files have."""
    tensors = {k: v.clone().contiguous() for k, v in network.state_dict().items()}
    tensors = {
        k if k.startswith(("vision_model", "visual_")) else f"vision_model.{k}": v
        for k, v in tensors.items()
    }
    tensors["vision_model.embeddings.position_ids"] = torch.arange(257)[None]
    return tensors


def open_clip_tensors(name, seed=0):
    """Random tensors under OpenCLIP's names and shapes."""
    width, layers, mlp, projection, _ = ENCODERS[name]
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
    """Image vectors, and the hidden states before the last block, by open_clip's own encoder."""
    own = {name.removeprefix("visual."): tensor for name, tensor in tensors.items()}
    width, projection = own["proj"].shape
    layers = sum(name.endswith("ln_1.weight") for name in own)
    network = VisionTransformer(
        image_size=224,
        patch_size=14,
        width=width,
        layers=layers,
        heads=HEADS,
        mlp_ratio=own["transformer.resblocks.0.mlp.c_fc.weight"].shape[0] / width,
        output_dim=projection,
        act_layer=QuickGELU if quick else nn.GELU,
    )
    network.load_state_dict(own)
    states = []
    last = network.transformer.resblocks[-1]
    last.register_forward_pre_hook(lambda module, args: states.append(args[0]))
    vectors = network.eval()(pixels)
    return vectors, states[0]


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


def encoder_tensors(projection, width=32):
    return {
        "vision_model.embeddings.class_embedding": torch.zeros(width),
        "vision_model.embeddings.patch_embedding.weight": torch.zeros(width, 3, 14, 14),
        "vision_model.embeddings.position_embedding.weight": torch.zeros(257, width),
        "vision_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(64, width),
        "visual_projection.weight": torch.zeros(projection, width),
    }


def image_embeds():
    """Of `reference`, by transformers."""
    image, _ = reference()
    pixels = CLIPImageProcessor()(image, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return hugging_face_encoder("H")(pixels).image_embeds[0]
