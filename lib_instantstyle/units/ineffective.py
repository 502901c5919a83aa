"""Fields that a unit sets although they change nothing, in sentences for whoever sent them.

On the page such fields are hidden, so that nothing is said of them there.
"""

from __future__ import annotations

from collections.abc import Iterator

from lib_instantstyle.units.page_weights import OPTIONAL
from lib_instantstyle.units.presets import PRESETS
from lib_instantstyle.units.unit import Unit

_OF_PICTURES = frozenset(("mask", "reference_mask", "combine", "crop", "sharpening"))
_OF_CONTENT = frozenset(
    ("content", "content_scale", "content_mode", "content_share", "auto_content", "clip_source")
)


def ineffective(unit: Unit) -> Iterator[str]:
    """One sentence for each reason why fields of `unit` change nothing."""
    if not unit.acts or not unit.uses_method:
        return
    table, method, declared = unit.table, unit.method, unit.declared
    matters = table.matters(method)
    others = [
        name
        for name in table.fields
        if name in table.of_some_methods
        and name not in matters
        and unit.differs(name)
        and name not in _used_elsewhere(unit)
        # What an earlier version sends says only what it did not know.
        and getattr(unit, name) != table.unwritten.get(name)
    ]
    if others and declared.takes_picture:  # else the method itself says what it makes no use of
        yield _nothing(others, f"with method '{method}'")
    if not declared.uses_weight and unit.differs("weight"):
        yield f"weight only switches method '{method}' on, so that {unit.weight:g} acts as 1."
    alone = not unit.palette and not unit.leak_meter
    if alone and "combine" not in matters and any(each.weight != 1 for each in unit.image):
        yield f"the weight of a reference does nothing with method '{method}'; leave it out."
    if "preset" in matters:
        used = set() if unit.blocks else _multiplied(unit.preset)
        unused = [name for name in OPTIONAL if name not in used and unit.differs(name)]
        if unused:
            yield _nothing(
                unused, "beside blocks" if unit.blocks else f"with preset '{unit.preset}'"
            )
    for name, field in table.fields.items():
        if name in matters and field.only_with and unit.differs(name):
            other, values = field.only_with
            if getattr(unit, other) not in values:
                yield _nothing([name], f"unless {other} is '{_listed(values)}'")


def _used_elsewhere(unit: Unit) -> frozenset[str]:
    """Fields that the palette or the leak meter may use, whatever the method does with them."""
    found: frozenset[str] = frozenset()
    if unit.palette or unit.leak_meter:
        found |= _OF_PICTURES
    return found | _OF_CONTENT if unit.leak_meter else found


def _multiplied(preset: str) -> set[str]:
    """The weights that a preset multiplies in any layout."""
    by_layout = PRESETS[preset].weight_factors.values()
    return {factor.multiplies for factors in by_layout for factor in factors.values()}


def _nothing(names: list[str], where: str) -> str:
    *first, last = names
    listed = f"{', '.join(first)} and {last}" if first else last
    do, them = ("do", "them") if first else ("does", "it")
    return f"{listed} {do} nothing {where}; leave {them} out."


def _listed(values: tuple[str, ...]) -> str:
    return "' or '".join(values)
