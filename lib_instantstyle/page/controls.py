"""The Gradio component of each field of a unit, built from the field's declaration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.page import saved_default
from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.field import Dropdown, Field, Files, Slider, Tick, Words
from lib_instantstyle.units.page_weights import OPTIONAL
from lib_instantstyle.units.unit import Unit

ElemId = Callable[[str], str]


def build_control(name: str, number: int, elem_id: ElemId, tab: str = "") -> Any:
    """The component for field `name` of unit `number` in `tab`.

    Labels differ between units, because the WebUI saves defaults by label.
    """
    field = TABLE.fields[name]
    of_others = name in TABLE.of_some_methods and name not in TABLE.matters(TABLE.usual_method)
    hidden = name in OPTIONAL or of_others or not is_needed(field, vars(TABLE.unit_type()))
    is_wide = field.is_wide or isinstance(field.shown_as, Words)
    classes = [
        *(["instantstyle-unneeded"] if hidden else []),
        *(["instantstyle-wide"] if is_wide else []),
    ]
    optional = {"elem_classes": classes} if classes else {}
    return _build(
        field,
        **optional,
        value=(number == 1) if name == "enabled" else _first_value(field, number, tab),
        label=unit_label(field.label, number),
        elem_id=elem_id(f"unit_{number}_{name}"),
        # The API, X/Y/Z plots and infotext have it by its name.
        tooltip=f"{field.former}{': ' if field.former else ''}{field.tooltip} [{name}]",
    )


def _first_value(field: Field, number: int, tab: str) -> Any:
    """The default, or what the user has saved as default under the field's former label.

    The WebUI itself then applies what is saved under the present one.
    """
    default = page_value(TABLE.unit_type(), field.name)
    if not field.former:
        return default
    saved = saved_default(tab, unit_label(field.former, number))
    try:
        return (
            default
            if saved is None
            else page_value(TABLE.parse_unit({field.name: saved}), field.name)
        )
    except InstantStyleError:
        return default


def _build(field: Field, **given: Any) -> Any:
    parse: Any = field.parse
    control = field.shown_as
    if isinstance(control, Slider):
        return gr.Slider(minimum=parse.low, maximum=parse.high, step=control.step, **given)
    if isinstance(control, Dropdown):
        return gr.Dropdown(choices=list(parse.words), **given)
    if isinstance(control, Tick):
        return gr.Checkbox(**given)
    if isinstance(control, Words):
        return gr.Textbox(lines=1, max_lines=1, placeholder=control.placeholder, **given)
    assert isinstance(control, Files)
    # Folders are looked into when the accordion is opened, not at start-up.
    files = gr.Dropdown(choices=[field.default], allow_custom_value=True, **given)
    # The WebUI drops a saved default that is not among the choices yet.
    files.do_not_save_to_config = True
    return files


def unit_label(label: str, number: int) -> str:
    """`label` as unit `number` has it; the first unit's is plain."""
    return label if number == 1 else f"{label} ({number})"


def is_needed(field: Field, values: Mapping[str, object]) -> bool:
    """Whether `field` does anything beside the other `values` of its unit."""
    return field.only_with is None or values.get(field.only_with[0]) in field.only_with[1]


def page_value(unit: Unit, name: str) -> Any:
    """The field `name` of `unit` as its control holds it."""
    value = getattr(unit, name)
    if value is None:
        return unit.weight if name in OPTIONAL else ""
    return value if isinstance(value, (bool, int, float)) else str(value)
