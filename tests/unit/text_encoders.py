"""Random CLIP text encoders for tests, in both layouts, by the libraries that are their oracles."""

import functools

import torch
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from tests.unit.open_clip_encoders import QuickGELU, TextTransformer

# width, layers, mlp, projection, activation; a width of 768 is what tells OpenAI's ViT-L/14
TEXT_ENCODERS = {
    "H": (128, 3, 512, 32, "gelu"),
    "bigG": (192, 2, 768, 40, "gelu"),
    "L": (768, 1, 192, 24, "quick_gelu"),
}
START, END = 49406, 49407


def _shake(network, seed):
    """Weights wild enough to tell activations, masks and poolings apart."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return network


@functools.cache
def hugging_face_text_encoder(name, seed=0):
    """transformers' own text encoder, small."""
    width, layers, mlp, projection, activation = TEXT_ENCODERS[name]
    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        projection_dim=projection,
        hidden_act=activation,
        pad_token_id=END if name == "L" else 0,
    )
    torch.manual_seed(seed)
    network = CLIPTextModelWithProjection(config).eval().requires_grad_(False)
    return _shake(network, seed)


def hugging_face_text_tensors(network):
    """The tensors of a file that holds `network`, with the integer buffer that older files have."""
    return {
        **{k: v.clone().contiguous() for k, v in network.state_dict().items()},
        "text_model.embeddings.position_ids": torch.arange(77)[None],
    }


@functools.cache
def open_clip_text_encoder(name, seed=0):
    """open_clip's own text encoder, small."""
    width, layers, mlp, projection, activation = TEXT_ENCODERS[name]
    torch.manual_seed(seed)
    network = TextTransformer(
        width=width,
        heads=width // 64,
        layers=layers,
        mlp_ratio=mlp / width,
        output_dim=projection,
        act_layer=QuickGELU if activation == "quick_gelu" else nn.GELU,
    )
    return _shake(network.eval().requires_grad_(False), seed)


def open_clip_text_tensors(network):
    """The tensors as they stand in open_clip_pytorch_model.bin, the scale beside them."""
    return {**network.state_dict(), "logit_scale": torch.tensor(4.6)}


def padded(texts, padding):
    """[B, 77] of plain token ids, as the libraries want them."""
    rows = [[START, *ids, END] for ids in texts]
    return torch.tensor([row + [padding] * (77 - len(row)) for row in rows])
