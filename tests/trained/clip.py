"""The CLIP pair: an image tower that sees shape, look and place, and a text tower that names shape
and look.

Trained as CLIP is, with all captions of the world as the texts of every batch: a picture's vector
shall point where the vectors of its shape, of its look and of both together point. Where the shape
stands and how large it is has directions of its own, which no text names.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from tests.miniature.networks.text import OPEN_CLIP_TINY, ResidualAttentionBlock

from .captions import ALL_CAPTIONS, caption_number, names_in, word_vector
from .course import Course, Loss, device_of
from .world import BEYOND, LOOKS, SHAPES, SIDE, scenes

TEXT_COURSE = Course("text", steps=500, batch=0, rate=1e-3, warm_up=20, mean_of=20)
IMAGE_COURSE = Course("image", steps=2500, batch=48, rate=1e-3, mean_of=200)
TEXTS = (*ALL_CAPTIONS, *SHAPES)  # a content field says "star", a prompt "a star"
SHAPE_TEXTS = [caption_number(i, None) for i in range(len(SHAPES))]
LOOK_TEXTS = [caption_number(None, i) for i in range(len(LOOKS))]
PAIR_TEXTS = [caption_number(i, j) for i in range(len(SHAPES)) for j in range(len(LOOKS))]
PATCH = 4  # world pixels
EMBED_DIM = OPEN_CLIP_TINY.embed_dim  # E
NORM = 16.0  # length that both kinds of vectors keep to, so that one can be taken from the other
_SCALE = 20.0  # of cosines in the loss
_PLACE = 3.0  # length that a place at the edge of its range adds to an image vector

VISION = CLIPVisionConfig(
    hidden_size=96,
    intermediate_size=384,
    num_hidden_layers=2,
    num_attention_heads=16,
    projection_dim=OPEN_CLIP_TINY.embed_dim,
    image_size=SIDE,
    patch_size=PATCH,
    hidden_act="gelu",
)


class TextTower(nn.Module):
    """The last layer of the OpenCLIP tower; those before it hand the words through."""

    def __init__(self) -> None:
        super().__init__()
        cfg = OPEN_CLIP_TINY
        self.block = ResidualAttentionBlock(cfg)
        self.ln_final = nn.LayerNorm(cfg.width)
        self.projection = nn.Parameter(torch.randn(cfg.width, cfg.embed_dim) * cfg.width**-0.5)

    def forward(self, texts: list[str]) -> Tensor:
        """Vectors of the texts: [n, E]. What follows the end mark is not seen, as in CLIP."""
        named = [["<start>", *names_in(text), "<end>"] for text in texts]
        longest = max(map(len, named))
        padded = [names + ["<end>"] * (longest - len(names)) for names in named]
        rows = [[word_vector(name, OPEN_CLIP_TINY.width) for name in names] for names in padded]
        x = torch.stack([torch.stack(row) for row in rows]).to(self.projection.device)
        x = self.ln_final(self.block(x))
        ends = torch.tensor([len(names) - 1 for names in named])
        return x[torch.arange(len(x)), ends] @ self.projection


class ImageTower(nn.Module):
    """Pictures [B, 3, 32, 32] in -1..1 -> vectors [B, E]. CLIP's own normalisation is applied."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = CLIPVisionModelWithProjection(VISION)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.tower(normalised(pictures)).image_embeds


def normalised(pictures: Tensor) -> Tensor:
    """As CLIP's preprocessing does, from -1..1."""
    mean = pictures.new_tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = pictures.new_tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    return (pictures / 2 + 0.5 - mean) / std


def targets() -> Tensor:
    """Where the texts shall lie, [TEXTS, E]: each shape and look has a direction of its own, at
    right angles to all others, and a caption lies between those that it names."""
    directions = _directions()
    named = dict(zip([*SHAPES, *LOOKS], directions[1:]))
    rows = [
        sum(
            (named[word] for word in names_in(text) if word in named),
            torch.zeros_like(directions[0]),
        )
        if text
        else directions[0]
        for text in TEXTS
    ]
    return F.normalize(torch.stack(rows), dim=1) * NORM


def _directions() -> Tensor:
    """As many as the vectors have elements, all at right angles: [E, E]. The first is of nothing,
    then come the words', and the last three are of places."""
    generator = torch.Generator().manual_seed(0)
    width = OPEN_CLIP_TINY.embed_dim
    return torch.linalg.qr(torch.randn(width, width, generator=generator))[0]


def text_loss(network: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
    return (network(list(TEXTS)) - targets().to(device_of(network))).square().mean()


def make_image_loss(texts: Tensor, course: Course) -> Loss:
    """Cross-entropies over shapes, over looks and over pairs, of cosines with the text vectors;
    how far the vectors tell where the shape stands; and their length."""
    texts = F.normalize(texts, dim=1)
    of_places = _directions()[-3:].T

    def loss(network: nn.Module, rng: np.random.Generator, generator: torch.Generator) -> Tensor:
        seen = scenes(rng, course.batch, furthest=BEYOND)
        device = device_of(network)
        images = network(torch.from_numpy(seen.pictures).to(device))
        cosines = F.normalize(images, dim=1) @ texts.T * _SCALE
        shapes = torch.from_numpy(seen.shapes).to(device)
        looks = torch.from_numpy(seen.looks).to(device)
        total = F.cross_entropy(cosines[:, SHAPE_TEXTS], shapes)
        total = total + F.cross_entropy(cosines[:, LOOK_TEXTS], looks)
        total = total + F.cross_entropy(cosines[:, PAIR_TEXTS], shapes * len(LOOKS) + looks)
        told = images @ of_places.to(device) / _PLACE
        total = total + (told - torch.from_numpy(seen.places).to(device)).square().mean()
        return total + (images.norm(dim=1) / NORM - 1).square().mean()

    return loss
