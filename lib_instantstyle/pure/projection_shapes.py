"""The three ways from CLIP's view of a picture to image tokens, told apart by tensor shapes.

- linear (ip-adapter_sd15, _sdxl, ...): CLIP's image vector through one layer;
- Resampler (plus, plus-face, composition): the hidden states of CLIP's last layer but one are
  looked at by 16 learned queries;
- MLP (full-face): each of these hidden states through two layers.

T image tokens, C width of the UNet's context. Source: tencent-ailab/IP-Adapter (Apache-2.0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lib_instantstyle.pure.tensor_info import Tensors, count_layers, shape_of

HEAD_WIDTH = 64
_LAYER = re.compile(r"^layers\.(\d{1,4})\.")


@dataclass(frozen=True)
class LinearShape:
    """Image vector [E] -> tokens [T, C]."""

    feature_width: int  # E
    tokens: int
    output_width: int

    title = "linear"
    takes_hidden_states = False


@dataclass(frozen=True)
class MlpShape:
    """Hidden states [T, W] -> tokens [T, C]."""

    feature_width: int  # W
    inner_width: int
    output_width: int

    title = "full-face (MLP)"
    takes_hidden_states = True


@dataclass(frozen=True)
class ResamplerShape:
    """Hidden states [N, W] -> tokens [T, C]."""

    feature_width: int  # W
    width: int  # of the learned queries
    inner_width: int  # of queries, keys and values inside the attention
    mlp_width: int
    depth: int
    tokens: int
    output_width: int

    title = "plus (Resampler)"
    takes_hidden_states = True

    @property
    def heads(self) -> int:
        """Not stored: a head has 64 numbers in every released file; a narrower one has one head."""
        return self.inner_width // HEAD_WIDTH if self.inner_width % HEAD_WIDTH == 0 else 1


ProjectionShape = LinearShape | MlpShape | ResamplerShape


def projection_shape(tensors: Tensors, context_width: int) -> ProjectionShape | None:
    """The projection in `tensors` (names without `image_proj.`), or None if it is none of these.

    The order of the checks matters, because the kinds share names.
    """
    if shape := shape_of(tensors, "proj.weight", 2):
        rows, width = shape
        tokens, rest = divmod(rows, context_width)
        return None if rest else LinearShape(width, tokens, context_width)
    if last := shape_of(tensors, "proj.3.weight", 1):
        first = shape_of(tensors, "proj.0.weight", 2)
        return MlpShape(first[1], first[0], last[0]) if first else None
    latents = shape_of(tensors, "latents", 3)
    first = shape_of(tensors, "proj_in.weight", 2)
    query = shape_of(tensors, "layers.0.0.to_q.weight", 2)
    hidden = shape_of(tensors, "layers.0.1.1.weight", 2)
    output = shape_of(tensors, "proj_out.weight", 2)
    depth = count_layers(tensors, _LAYER)
    if latents and first and query and hidden and output and depth:
        return ResamplerShape(
            feature_width=first[1],
            width=latents[2],
            inner_width=query[0],
            mlp_width=hidden[0],
            depth=depth,
            tokens=latents[1],
            output_width=output[0],
        )
    return None
