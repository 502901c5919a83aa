"""Which IP-Adapter a file is, by the names and shapes of its tensors alone: people rename files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensor_info import FLOATING, Tensors, count_layers, shape_of
from lib_instantstyle.layout import LAYOUTS, Layout
from lib_instantstyle.models.adapter_names import (
    DIFFUSERS_PROJECTION,
    PROJECTION_PREFIX,
    adapter_names,
    not_mapped,
)
from lib_instantstyle.models.foreign_adapters import foreign_adapter

_KEY_OR_VALUE = re.compile(r"^ip_adapter\.(\d{1,6})\.(to_k_ip|to_v_ip)\.weight$")


@dataclass(frozen=True)
class AdapterKind:
    """An IP-Adapter that serves, described by its shapes."""

    projection: ProjectionShape
    context_width: int  # C: 768 for SD1.x, 2048 for SDXL
    layer_widths: Mapping[int, int]  # adapter number N -> width h of that layer

    @cached_property
    def layout(self) -> Layout | None:
        """The block layout whose adapter numbers the file holds in full, if it does."""
        for layout in LAYOUTS.values():
            if self.layer_widths.keys() == layout.by_number.keys():
                return layout
        return None


def adapter_kind(tensors: Tensors) -> AdapterKind | None:
    """The IP-Adapter that `tensors` (names as in the file) make up; None if they are none at all.

    Raises InstantStyleError, whose text is the end of a sentence about the file, for a relative
    that cannot serve and for an adapter with something missing.
    """
    names = adapter_names(tensors)
    renamed = {**tensors, **{ours: tensors[theirs] for ours, theirs in names.items()}}
    halves = _halves(renamed)
    widths = {shape[1] for shapes in halves.values() for shape in shapes.values()}
    context_width = widths.pop() if len(widths) == 1 else 0
    sentence = foreign_adapter(renamed, context_width)
    if sentence:
        raise InstantStyleError(sentence)
    if not halves:
        if problem := not_mapped(tensors):
            raise InstantStyleError(problem)
        if any(name.startswith(PROJECTION_PREFIX) for name in names):
            raise InstantStyleError(
                "holds the image projection of an IP-Adapter and none of its layers; it is not "
                "complete, choose another file"
            )
        return None
    if not context_width:
        raise InstantStyleError("has layers for text tokens of different widths; it is damaged")
    projection = projection_shape(
        {
            n.removeprefix(PROJECTION_PREFIX): renamed[n]
            for n in names
            if n.startswith(PROJECTION_PREFIX)
        },
        context_width,
    )
    if projection is None and any(DIFFUSERS_PROJECTION in name for name in tensors):
        raise InstantStyleError(
            "is a UNet of diffusers with an IP-Adapter in it, whose image projection is not in the "
            "released layout; choose the adapter's own file, with image_proj and ip_adapter"
        )
    if projection is None:
        raise InstantStyleError(
            "is an IP-Adapter of an unknown kind; linear, plus and full-face ones for SD1.5 and "
            "SDXL are allowed"
        )
    if projection.output_width != context_width:
        raise InstantStyleError(
            f"makes image tokens of width {projection.output_width}, but its layers take "
            f"{context_width}; it is damaged"
        )
    for ours, theirs in names.items():
        if tensors[theirs].dtype not in FLOATING:
            raise InstantStyleError(
                f"stores {ours} as {tensors[theirs].dtype}; floating-point numbers are needed"
            )
    return AdapterKind(projection, context_width, _layer_widths(halves))


def _halves(tensors: Tensors) -> dict[int, dict[str, tuple[int, ...]]]:
    """Shapes of the keys' and values' weights, by adapter number."""
    found: dict[int, dict[str, tuple[int, ...]]] = {}
    for name in tensors:
        match = _KEY_OR_VALUE.match(name)
        shape = shape_of(tensors, name, 2)
        if match and shape:
            found.setdefault(int(match.group(1)), {})[match.group(2)] = shape
    return found


def _layer_widths(halves: Mapping[int, Mapping[str, tuple[int, ...]]]) -> dict[int, int]:
    widths = {}
    for number, shapes in sorted(halves.items()):
        key, value = shapes.get("to_k_ip"), shapes.get("to_v_ip")
        if key is None or key != value:
            raise InstantStyleError(
                f"has a layer {number} whose key is {_describe_shape(key)} and whose value is "
                f"{_describe_shape(value)}; it is damaged"
            )
        widths[number] = key[0]
    return widths


def _describe_shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else f"of shape {shape}"


# The three ways from CLIP's view of a picture to image tokens, told apart by tensor shapes.
#
# - linear (ip-adapter_sd15, _sdxl, ...): CLIP's image vector through one layer;
# - Resampler (plus, plus-face, composition): the hidden states of CLIP's last layer but one are
#   looked at by 16 learned queries;
# - MLP (full-face): each of these hidden states through two layers.
#
# T image tokens, C width of the UNet's context. Source: tencent-ailab/IP-Adapter (Apache-2.0).

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
