"""What an axis of the X/Y/Z plot can vary: a field, one block after the other, the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lib_instantstyle.pure.units import FIELDS
from lib_instantstyle.pure.values import one_of
from lib_instantstyle.webui.choices import adapter_choices
from lib_instantstyle.webui.style_library import library
from lib_instantstyle.webui.typed_files import pictures_in, read_picture

ALL = "all"
_ADAPTER_COST = 0.5  # a file to read: outside the axes that cost nothing, inside checkpoints
_DIGITS = 8  # of a number: the plot counts up a range in binary fractions


def _as_typed(p: Any, values: Sequence[Any]) -> Sequence[Any]:
    return values


@dataclass(frozen=True)
class Axis:
    """One axis, for whichever unit.

    changes: for a value, the fields that a cell's unit gets, as a request would give them. expand:
    what the values that were typed stand for, asked once before the plot starts; may raise
    InstantStyleError.
    """

    label: str
    type: type  # float, for which the plot knows ranges, or str
    changes: Callable[[Any], Mapping[str, object]]
    choices: Callable[[], list[str]] | None = None
    expand: Callable[[Any, Sequence[Any]], Sequence[Any]] = _as_typed
    cost: float = 0.0


def field_axis(name: str) -> Axis:
    """The values of one field of a unit."""
    field = FIELDS[name]
    is_number = str(field.type).startswith("float")

    def changes(x: Any) -> Mapping[str, object]:
        value = {"True": True, "False": False}.get(x, x) if field.type == "bool" else x
        value = round(value, _DIGITS) if isinstance(value, float) else value
        # Own block weights would stand instead of the preset, a reference beside the style.
        if name == "preset":
            return {name: value, "blocks": ""}
        return {name: value, "image": None} if name == "style" else {name: value}

    return Axis(
        name.replace("_", " "),
        float if is_number else str,
        changes,
        _choices(name),
        cost=_ADAPTER_COST if name == "adapter" else 0.0,
    )


def _choices(name: str) -> Callable[[], list[str]] | None:
    parse = FIELDS[name].metadata["parse"]
    if name == "adapter":
        return adapter_choices
    if name == "style":
        return lambda: [style.name for style in library().styles()]
    if FIELDS[name].type == "bool":
        return lambda: ["True", "False"]
    if isinstance(parse, one_of):
        return lambda: list(parse.allowed)
    return None


def block_axis() -> Axis:
    """One block alone in each cell: what it does, and which carries the style."""

    def changes(x: Any) -> Mapping[str, object]:
        return {"blocks": f"{x}=1"}

    def expand(p: Any, values: Sequence[Any]) -> Sequence[Any]:
        # The plot's own button that fills in every choice brings ALL and each of the names.
        names = (name for x in values for name in (_block_names() if x == ALL else [x]))
        return [*dict.fromkeys(names)]

    return Axis("each single block", str, changes, lambda: [ALL, *_block_names()], expand)


def _block_names() -> list[str]:
    from lib_instantstyle.hosts.chosen_checkpoint import chosen_layers

    layers = chosen_layers()
    present = {found.layer.block for found in layers.by_number.values()}
    return [block.diffusers for block in layers.layout.blocks if block in present]


def reference_axis() -> Axis:
    """The reference: paths of picture files, or of folders with pictures."""

    def changes(x: Any) -> Mapping[str, object]:
        return {"image": read_picture(x), "style": ""}

    def expand(p: Any, values: Sequence[Any]) -> Sequence[Any]:
        return [path for x in values for path in pictures_in(p, x)]

    return Axis("reference files", str, changes, None, expand)
