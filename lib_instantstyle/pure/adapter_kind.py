"""Which IP-Adapter a file is, by the names and shapes of its tensors alone: people rename files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib_instantstyle.pure.adapter_names import PROJECTION_PREFIX, adapter_names
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.foreign_adapters import foreign_adapter
from lib_instantstyle.pure.layers import LAYOUTS, Layout
from lib_instantstyle.pure.projection_shapes import ProjectionShape, projection_shape
from lib_instantstyle.pure.tensor_info import FLOATING, Tensors, shape_of

_KEY_OR_VALUE = re.compile(r"^ip_adapter\.(\d{1,6})\.(to_k_ip|to_v_ip)\.weight$")


@dataclass(frozen=True)
class AdapterKind:
    """An IP-Adapter that serves, described by its shapes."""

    projection: ProjectionShape
    context_width: int  # C: 768 for SD1.x, 2048 for SDXL
    layer_widths: Mapping[int, int]  # adapter number N -> width h of that layer

    @property
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
