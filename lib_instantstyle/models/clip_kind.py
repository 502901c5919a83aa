"""Which CLIP image encoder a file holds, by the names and shapes of its tensors alone.

Two layouts are in use: Hugging Face's CLIPVisionModelWithProjection (and CLIPModel, which has the
text encoder beside it) and OpenCLIP's, which also OpenAI used. Both are read as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib_instantstyle.files.tensor_info import Tensors, count_layers, shape_of
from lib_instantstyle.limits import ENCODER_SIDE

HUGGING_FACE, OPEN_CLIP = "Hugging Face", "OpenCLIP"
TITLES = {1024: "ViT-L/14", 1280: "ViT-H/14", 1664: "ViT-bigG/14"}  # by width
_SMALL_WIDTH = 768  # of the ViT-B models


@dataclass(frozen=True)
class ImageEncoderKind:
    """A CLIP image encoder, described by its shapes."""

    layout: str  # HUGGING_FACE or OPEN_CLIP
    width: int  # of the hidden states
    layers: int
    mlp_width: int
    patch: int
    image_size: int
    embedding_width: int  # E, of the image vector; 0 where the file has no projection

    @property
    def heads(self) -> int:
        """Not stored: 16 in ViT-L, ViT-H, ViT-g and ViT-bigG, 12 in the smaller ViT-B."""
        return 12 if self.width == _SMALL_WIDTH else 16


@dataclass(frozen=True)
class _Names:
    class_embedding: str
    patches: str
    positions: str
    projection: str
    mlp: str
    layer: re.Pattern[str]


_NAMES = {
    HUGGING_FACE: _Names(
        "vision_model.embeddings.class_embedding",
        "vision_model.embeddings.patch_embedding.weight",
        "vision_model.embeddings.position_embedding.weight",
        "visual_projection.weight",
        "vision_model.encoder.layers.0.mlp.fc1.weight",
        re.compile(r"^vision_model\.encoder\.layers\.(\d{1,4})\."),
    ),
    OPEN_CLIP: _Names(
        "visual.class_embedding",
        "visual.conv1.weight",
        "visual.positional_embedding",
        "visual.proj",
        "visual.transformer.resblocks.0.mlp.c_fc.weight",
        re.compile(r"^visual\.transformer\.resblocks\.(\d{1,4})\."),
    ),
}
_POOLED = "visual.attn_pool."  # OpenCLIP models that end in attention: no class token to project


def image_encoder_kind(tensors: Tensors) -> ImageEncoderKind | None:
    """The CLIP image encoder in `tensors`, or None."""
    for layout, names in _NAMES.items():
        patches = shape_of(tensors, names.patches, 4)
        positions = shape_of(tensors, names.positions, 2)
        layers = count_layers(tensors, names.layer)
        if not patches or not positions or names.class_embedding not in tensors:
            continue
        mlp = shape_of(tensors, names.mlp, 2)
        side = round((positions[0] - 1) ** 0.5)
        if mlp is None or not layers or side * side + 1 != positions[0]:
            continue
        if any(name.startswith(_POOLED) for name in tensors):
            continue
        if side * patches[-1] > ENCODER_SIDE:
            continue
        projection = shape_of(tensors, names.projection, 2)
        return ImageEncoderKind(
            layout=layout,
            width=patches[0],
            layers=layers,
            mlp_width=mlp[0],
            patch=patches[-1],
            image_size=side * patches[-1],
            embedding_width=_rows(projection, layout) if projection else 0,
        )
    return None


def _rows(projection: tuple[int, ...], layout: str) -> int:
    """E: Hugging Face stores the projection as [E, W], OpenCLIP as [W, E]."""
    return projection[0] if layout == HUGGING_FACE else projection[1]


# Which CLIP text encoder a file holds, by the names and shapes of its tensors alone.
#
# The layouts are those of the image encoders (see above), and a file may hold both encoders.
# Without a projection a text encoder ends in hidden states, which share no space with pictures.

VOCABULARY = 49408  # tokens of CLIP's byte-pair encoding, which all of these share
HEAD_WIDTH = 64


@dataclass(frozen=True)
class TextEncoderKind:
    """A CLIP text encoder, described by its shapes."""

    layout: str  # HUGGING_FACE or OPEN_CLIP
    width: int  # of the hidden states
    layers: int
    mlp_width: int
    positions: int  # tokens that it takes at most, 77
    embedding_width: int  # E, of the text vector; 0 where the file has no projection

    @property
    def heads(self) -> int:
        """Not stored: a head has 64 numbers in every released CLIP."""
        return max(1, self.width // HEAD_WIDTH)


@dataclass(frozen=True)
class _TextNames:
    tokens: str
    positions: str
    norm: str
    projection: str
    mlp: str
    layer: re.Pattern[str]


_TEXT_NAMES = {
    HUGGING_FACE: _TextNames(
        "text_model.embeddings.token_embedding.weight",
        "text_model.embeddings.position_embedding.weight",
        "text_model.final_layer_norm.weight",
        "text_projection.weight",
        "text_model.encoder.layers.0.mlp.fc1.weight",
        re.compile(r"^text_model\.encoder\.layers\.(\d{1,4})\."),
    ),
    OPEN_CLIP: _TextNames(
        "token_embedding.weight",
        "positional_embedding",
        "ln_final.weight",
        "text_projection",
        "transformer.resblocks.0.mlp.c_fc.weight",
        re.compile(r"^transformer\.resblocks\.(\d{1,4})\."),
    ),
}


def text_encoder_kind(tensors: Tensors) -> TextEncoderKind | None:
    """The CLIP text encoder in `tensors`, or None."""
    for layout, names in _TEXT_NAMES.items():
        tokens = shape_of(tensors, names.tokens, 2)
        positions = shape_of(tensors, names.positions, 2)
        layers = count_layers(tensors, names.layer)
        mlp = shape_of(tensors, names.mlp, 2)
        if not tokens or not positions or not mlp or names.norm not in tensors:
            continue
        if tokens[0] != VOCABULARY or not layers:
            continue
        projection = shape_of(tensors, names.projection, 2)
        return TextEncoderKind(
            layout=layout,
            width=tokens[1],
            layers=layers,
            mlp_width=mlp[0],
            positions=positions[0],
            embedding_width=_embedding_rows(projection, layout) if projection else 0,
        )
    return None


def _embedding_rows(projection: tuple[int, ...], layout: str) -> int:
    """E: Hugging Face stores the projection as [E, W], OpenCLIP as [W, E]."""
    return projection[0] if layout == HUGGING_FACE else projection[1]
