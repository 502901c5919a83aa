"""The accordion in txt2img and img2img: a switch, the units in tabs, and their events.

No file is read while it is built. The page's script presses four hidden buttons: `fill` when the
accordion is first opened, for the lists of files; `look` when values have changed, for the status
of each unit; `tell` while words are encoded, for the progress; `act` when a button of the page
changes a unit's fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from lib_instantstyle.hosts.page import InputAccordion, PasteField, is_public
from lib_instantstyle.hosts.settings import page_units
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page import downloads, reference_preview, styles
from lib_instantstyle.page.controls import ElemId, unit_label
from lib_instantstyle.page.file_lists import FILE_LISTS
from lib_instantstyle.page.paste import paster
from lib_instantstyle.page.paste_back import BACK, as_request, give_back, notice
from lib_instantstyle.page.paste_losses import switch_paster
from lib_instantstyle.page.sent_pictures import note_sent
from lib_instantstyle.page.states.changes import change
from lib_instantstyle.page.states.lines import lines
from lib_instantstyle.page.unit_tab import build_unit
from lib_instantstyle.units.field import Files

_FILLED = {  # field -> its choices
    name: choices
    for kind, choices in FILE_LISTS.items()
    for name, field in TABLE.fields.items()
    if field.shown_as == Files(kind)
}


# Adds the number of the browser's tab to the value of an event; see page/sent_pictures.py.
_WITH_TAB = "(value) => [value, instantstyle.tab()]"


@dataclass(frozen=True)
class Accordion:
    """The page's components, the switch first, and the functions that paste infotext into them."""

    components: list[Any]
    paste_fields: list[Any]
    paste_field_names: list[Any]


def build(elem_id: ElemId, tab: str) -> Accordion:
    """Build the accordion of `tab` ("txt2img" or "img2img").

    It has no side effects: the WebUI calls this up to three times.
    """
    count = page_units()
    with InputAccordion(False, label="InstantStyle", elem_id=elem_id("enabled")) as switch:
        lost = gr.HTML("", elem_id=elem_id("notice"))
        with gr.Tabs(elem_id=elem_id("units")) if count > 1 else nullcontext():
            units = [_tab(number, count, elem_id, tab) for number in range(1, count + 1)]
        downloads.build(elem_id)
        pictures = [
            {name: _picture(name, number, elem_id) for name in TABLE.pictures}
            for number in range(1, count + 1)
        ]
        advised = _wire(units, elem_id, tab)
        whole = [{**unit, **own_pictures} for unit, own_pictures in zip(units, pictures)]
        styles.wire(whole)
        for unit in whole:
            _wire_previews(unit)
        noticed = [PasteField(lost, partial(notice, count=count))]
        # An undo after pasting would bring back what was there before it.
        noticed.append(PasteField(advised, lambda parameters: ""))
        if is_public():
            noticed.append(PasteField(_wire_giving_back(whole, lost, elem_id), as_request))
    # In the order of `Table.page_values`.
    places = [(i, name) for i in range(count) for name in TABLE.page_fields]
    places += [(i, name) for i in range(count) for name in TABLE.pictures]
    components = [{**units[i], **pictures[i]}[name] for i, name in places]
    pasters = [switch_paster, *(paster(i + 1, name) for i, name in places)]
    return Accordion(
        [switch, *components],
        [PasteField(part, paste) for part, paste in zip([switch, *components], pasters)] + noticed,
        # "Send to img2img" copies the fields whose names both tabs share; functions that both
        # tabs share are as good a name as a label, and carry the pictures along.
        pasters,
    )


def _tab(number: int, count: int, elem_id: ElemId, tab: str) -> dict[str, Any]:
    if count == 1:
        return build_unit(number, elem_id, tab)
    with gr.Tab(f"Unit {number}", elem_id=elem_id(f"unit_{number}")):
        return build_unit(number, elem_id, tab)


def _picture(name: str, number: int, elem_id: ElemId) -> Any:
    """The text box that holds a picture as base64 text, which scripts and requests can carry."""
    label = unit_label(name.replace("_", " ").capitalize(), number)
    return _hidden_box(label, elem_id(f"unit_{number}_{name}"))


def _wire(units: Sequence[dict[str, Any]], elem_id: ElemId, tab: str) -> Any:
    """Add the events of the hidden buttons; returns the component of the last advice."""
    names = ("fill", "look", "tell", "act")
    fill_lists, show_status, show_progress, make_changes = (
        _hidden_button(elem_id(name)) for name in names
    )
    progress = gr.HTML("", elem_id=elem_id("told"), elem_classes=["instantstyle-hidden"])
    show_progress.click(
        fn=reference_preview.word_progress,
        inputs=[],
        outputs=[progress],
        show_progress="hidden",
        queue=False,
    )
    for unit in units:  # own block weights beat a preset, so choosing one takes them back
        unit["preset"].input(
            fn=None,
            inputs=[],
            outputs=[unit["blocks"]],
            _js="() => ''",
            show_progress="hidden",
            queue=False,
        )
    fill_lists.click(
        fn=lambda: _choices(len(units)),
        inputs=[],
        outputs=[unit[name] for name in _FILLED for unit in units],
        show_progress="hidden",
        queue=False,
    )
    hidden = ("facts", "request")
    facts, request = (_hidden_box(name.capitalize(), elem_id(name)) for name in hidden)
    fields = [unit[name] for unit in units for name in TABLE.page_fields]
    advised = gr.HTML("", elem_id=elem_id("advised"), elem_classes=["instantstyle-hidden"])
    make_changes.click(
        fn=change,
        inputs=[request, facts, *fields],
        outputs=[advised, *fields],
        _js=f"(...values) => instantstyle.states.asked('{tab}', values)",
        show_progress="hidden",
        queue=False,
    )
    show_status.click(
        fn=lambda *values: _one_or_all(lines(*values)),
        inputs=[facts, *fields],
        _js=f"(...values) => instantstyle.states.looked('{tab}', values)",
        outputs=[unit["status"] for unit in units],
        show_progress="hidden",
        queue=False,
    )
    return advised


def _choices(count: int) -> list[Any]:
    lists = [choices() for choices in _FILLED.values()]
    return [gr.update(choices=found) for found in lists for _ in range(count)]


def _wire_previews(unit: dict[str, Any]) -> None:
    """The buttons that show what CLIP makes of the reference.

    An answer goes when the reference changes: it would be that of another picture.
    """
    unit["image"].change(
        fn=None,
        inputs=[],
        outputs=[unit["crops"], unit["words"]],
        _js="() => ['', '']",
        show_progress="hidden",
        queue=False,
    )
    unit["crops_button"].click(
        fn=reference_preview.crops_of,
        inputs=[unit[field] for field in reference_preview.CROP_FIELDS],
        outputs=[unit["crops"]],
    )
    unit["words_button"].click(
        fn=reference_preview.waiting,
        inputs=[unit["image"]],
        outputs=[unit["words"]],
        show_progress="hidden",
        queue=False,
    ).then(
        fn=reference_preview.words_of,
        inputs=[unit[field] for field in reference_preview.WORD_FIELDS],
        outputs=[unit["words"]],
        show_progress="hidden",
    )


def _one_or_all(values: list[Any]) -> Any:
    """Gradio takes a list with one item for the value itself."""
    return values if len(values) > 1 else values[0]


def _wire_giving_back(units: Sequence[dict[str, Any]], lost: Any, elem_id: ElemId) -> Any:
    """Where strangers may use the page: note what each tab sends, and give it back after pasting.

    Returns the box for what was pasted; lost: the component of the notice.
    """
    pasted, tab = (_hidden_box(name.capitalize(), elem_id(name)) for name in ("pasted", "tab"))
    for box in (unit[name] for unit in units for name in TABLE.pictures):
        box.change(
            fn=note_sent,
            inputs=[box, tab],
            outputs=[],
            _js=_WITH_TAB,
            show_progress="hidden",
            queue=False,
        )
    pasted.change(
        fn=partial(give_back, count=len(units)),
        inputs=[pasted, tab],
        outputs=[*(unit[name] for unit in units for name in BACK), lost],
        _js=_WITH_TAB,
        show_progress="hidden",
        queue=False,
    )
    return pasted


def _hidden_box(label: str, elem_id: str) -> Any:
    """A text box for what scripts write. A long text would freeze the page if it were rendered."""
    box = gr.Textbox(value="", label=label, elem_id=elem_id, elem_classes=["instantstyle-hidden"])
    box.do_not_save_to_config = True
    return box


def _hidden_button(elem_id: str) -> Any:
    button = gr.Button("InstantStyle", elem_id=elem_id, elem_classes=["instantstyle-hidden"])
    button.do_not_save_to_config = True
    return button
