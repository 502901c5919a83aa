"""Which CLIP text encoder a file holds, by the names and shapes of its tensors alone.

The layouts are those of the image encoders (see image_encoder_kind.py), and a file may hold both
encoders. Without a projection a text encoder ends in hidden states, which share no space with
pictures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib_instantstyle.pure.image_encoder_kind import HUGGING_FACE, OPEN_CLIP
from lib_instantstyle.pure.tensor_info import Tensors, count_layers, shape_of

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
class _Names:
    tokens: str
    positions: str
    norm: str
    projection: str
    mlp: str
    layer: re.Pattern[str]


_NAMES = {
    HUGGING_FACE: _Names(
        "text_model.embeddings.token_embedding.weight",
        "text_model.embeddings.position_embedding.weight",
        "text_model.final_layer_norm.weight",
        "text_projection.weight",
        "text_model.encoder.layers.0.mlp.fc1.weight",
        re.compile(r"^text_model\.encoder\.layers\.(\d{1,4})\."),
    ),
    OPEN_CLIP: _Names(
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
    for layout, names in _NAMES.items():
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
            embedding_width=_rows(projection, layout) if projection else 0,
        )
    return None


def _rows(projection: tuple[int, ...], layout: str) -> int:
    """E: Hugging Face stores the projection as [E, W], OpenCLIP as [W, E]."""
    return projection[0] if layout == HUGGING_FACE else projection[1]
