"""The library of saved styles in a unit's tab: pick, save, rename, delete, import, export."""

from __future__ import annotations

import hashlib
import html
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.own_files import write_file
from lib_instantstyle.hosts import model_folders
from lib_instantstyle.hosts.page import forbidden, is_public, refuse_strangers
from lib_instantstyle.limits import STYLE_BYTES
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.controls import ElemId, build_control
from lib_instantstyle.page.file_lists import style_choices
from lib_instantstyle.page.markup import (
    error_sentence,
    problem_box,
    repair_button,
    small_button,
)
from lib_instantstyle.page.style_cards import summary, thumbnail_url
from lib_instantstyle.session import SESSION
from lib_instantstyle.styles.library import SUFFIX, NameTaken, library
from lib_instantstyle.styles.names import same_name

_FORBIDDEN = forbidden(
    "saved styles are used here and not changed", "change models/InstantStyle/styles by hand"
)
SAVED_FIELDS = (*TABLE.page_fields, *TABLE.pictures)  # the arguments of `save`
_CHANGES = {  # buttons that change the library
    "style_save": "Save reference as style",
    "style_rename": "Rename",
    "style_delete": "Delete",
}
# Asks in the browser; the name comes back empty if the user says no.
_CONFIRM = "(name) => [name && confirm(`Delete the saved style ${name}?`) ? name : '']"

# An action on the library: the style to show afterwards and a message; None if nothing was done.
Action = Callable[..., "tuple[str, str] | None"]


_SECONDS = 60  # in which a second press replaces a style


class _Pressed:
    """What "save" was pressed for while a style had the name: the same again replaces that style.

    digest: of name and values. at: when.
    """

    digest = ""
    at = 0.0

    def note(self, digest: str) -> None:
        """Note that `digest` was refused; "" for nothing."""
        self.digest, self.at = digest, time.monotonic()

    def has(self, digest: str) -> bool:
        """Whether the last press was refused for the same, not long ago."""
        return digest == self.digest and time.monotonic() - self.at < _SECONDS


class _Exports:
    """Where exported styles are handed out from."""

    def __init__(self) -> None:
        self._made = tempfile.TemporaryDirectory(prefix="instantstyle-", ignore_cleanup_errors=True)

    @property
    def folder(self) -> Path:
        return Path(self._made.name)


def build(number: int, elem_id: ElemId) -> dict[str, Any]:
    """The components for unit `number`, by name; "style" is the field of that name."""

    def own(name: str) -> str:
        return str(elem_id(f"unit_{number}_{name}"))

    parts: dict[str, Any] = {}
    allowed = not is_public()
    with (
        gr.Accordion("Saved styles", open=False, elem_id=own("styles")),
        gr.Row(elem_classes=["instantstyle-row"]),
    ):
        with gr.Column(scale=1, min_width=160):
            parts["style"] = build_control("style", number, elem_id)
            parts["style_card"] = gr.HTML("", elem_id=own("style_card"))
        with gr.Column(scale=2, min_width=240):
            parts["style_name"] = gr.Textbox(
                value="",
                label="Name",
                placeholder="a name to save or rename it to",
                lines=1,
                max_lines=1,
                elem_id=own("style_name"),
            )
            with gr.Row(elem_classes=["instantstyle-buttons"]):
                for name, title in _CHANGES.items():
                    parts[name] = small_button(title, own(name), allowed)
                parts["style_import"] = gr.UploadButton(
                    "Import a file",
                    file_types=[SUFFIX],
                    file_count="single",
                    size="sm",
                    interactive=allowed,
                    elem_id=own("style_import"),
                    elem_classes=["instantstyle-small"],
                )
                parts["style_export"] = small_button("Export", own("style_export"))
            if not allowed:
                gr.HTML(problem_box(_FORBIDDEN), elem_id=own("style_forbidden"))
            parts["style_file"] = gr.File(
                label="Exported style", visible=False, elem_id=own("style_file")
            )
            parts["style_message"] = gr.HTML("", elem_id=own("style_message"))
    for part in parts.values():
        part.do_not_save_to_config = True  # not part of the page's saved defaults
    return parts


def wire(units: Sequence[Mapping[str, Any]]) -> None:
    """Add the events of all units; each mapping has the components of `build` and SAVED_FIELDS."""
    for number, unit in enumerate(units, start=1):
        others = [each["style"] for each in units if each is not unit]
        shown = [unit["style"], unit["style_card"], unit["style_message"], *others]
        for part, event, action, names, picks, more in (
            # A unit must not have a style beside its reference, so this does not pick it.
            ("style_save", "click", save, ("style_name", *SAVED_FIELDS), False, _proposing(unit)),
            ("style_rename", "click", rename, ("style", "style_name"), True, {}),
            ("style_delete", "click", delete, ("style",), True, {"_js": _CONFIRM}),
            ("style_import", "upload", take_in, ("style_import", "style_name"), True, {}),
        ):
            listen = getattr(unit[part], event)
            inputs = [unit[name] for name in names]
            listen(
                fn=_handler(action, len(others), picks, number),
                inputs=inputs,
                outputs=shown,
                **more,
            )
        unit["style"].change(
            fn=partial(card, number=number), inputs=[unit["style"]], outputs=[unit["style_card"]]
        )
        unit["style_export"].click(
            fn=_export,
            inputs=[unit["style"]],
            outputs=[unit["style_file"], unit["style_message"]],
        )


def save(name: str, *values: object) -> tuple[str, str]:
    """Save the unit whose SAVED_FIELDS have these values.

    A style of that name is replaced if the button is pressed twice for it, with nothing changed.
    """
    from lib_instantstyle.run.style_saving import save_style

    if not name.strip():
        raise InstantStyleError("the style needs a name; type one first.")
    unit = TABLE.parse_unit(dict(zip(SAVED_FIELDS, values)))
    pressed, text = SESSION.of(_Pressed), repr((same_name(name), values))
    digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()
    replacing = pressed.has(digest)
    pressed.note("")
    try:
        saved = save_style(unit, name, replacing)
    except NameTaken:
        pressed.note(digest)
        raise InstantStyleError(
            f"a style named {shorten(name.strip())} is there already; press the button again to "
            "replace it, or choose another name."
        ) from None
    return saved.name, f"Saved as {saved.name}, {saved.path.stat().st_size:,} bytes."


def rename(name: str, new_name: str) -> tuple[str, str]:
    """Give the picked style another name."""
    renamed = library(TABLE).rename(_picked(name), new_name)
    return renamed.name, f"Renamed to {renamed.name}."


def delete(name: str) -> tuple[str, str] | None:
    """Delete the picked style; nothing for "", which the browser sends if the user says no."""
    if not name:
        return None
    library(TABLE).delete(name)
    return "", f"Deleted {name}."


def take_in(file: Any, name: str) -> tuple[str, str]:
    """Add an uploaded style file, under `name` or its own."""
    path = Path(getattr(file, "name", file))
    original = Path(getattr(file, "orig_name", path.name))
    with path.open("rb") as file:
        data = file.read(STYLE_BYTES + 1)  # one more than is allowed tells as much as all
    taken = library(TABLE).take_in(data, name.strip() or original.stem)
    return taken.name, f"Imported as {taken.name}."


def export(name: str) -> Path:
    """A copy of the picked style in a folder that the page may serve files from.

    One folder for all, and one copy of each style: they are deleted when the WebUI ends.
    """
    from lib_instantstyle.files.model_file import read_errors  # not needed to build the page

    style = library(TABLE).find(_picked(name))
    copy = SESSION.of(_Exports).folder / style.path.name
    with read_errors(style.path):
        write_file(copy, style.path.read_bytes())
    return copy


def card(name: str, number: int = 1) -> str:
    """Thumbnail and origin of the style `name`, and a button for its settings, as HTML.

    number: of the unit that uses it.
    """
    if not name:
        return ""
    from lib_instantstyle.models.catalog import scan
    from lib_instantstyle.styles.file import has_other_encoder

    try:
        style = library(TABLE).find(name)
        is_other = has_other_encoder(style.path, scan(model_folders()).image_encoders)
    except InstantStyleError as error:
        return problem_box(error_sentence(error))
    picture = thumbnail_url(style)
    image = f'<img src="{picture}" alt="Thumbnail of {html.escape(style.name)}">' if picture else ""
    text = f"<div>{html.escape(summary(style))}</div>"
    if is_other:
        text += problem_box(f"Made with the image encoder {style.info.encoder}, which is not here.")
    button = ""
    if style.info.settings:
        button = repair_button("Load its settings", {"do": "style", "unit": number})
    return f'<div class="instantstyle-card">{image}{text}{button}</div>'


def _export(name: str) -> tuple[Any, str]:
    try:
        return gr.update(value=str(export(name)), visible=True), ""
    except InstantStyleError as error:
        return gr.update(), problem_box(error_sentence(error))


def _proposing(unit: Mapping[str, Any]) -> dict[str, str]:
    """Javascript that proposes the name of the reference's file where none was typed."""
    box = json.dumps(unit["style_name"].elem_id)
    return {"_js": f"(name, ...values) => [name || instantstyle.styles.name({box}), ...values]"}


def _handler(action: Action, others: int, picks: bool, number: int) -> Callable[..., list[Any]]:
    """`action` as a Gradio event: the picked style and its card, a message, the others' choices.

    Strangers get a sentence, whatever button their page shows them.

    others: how many more units there are. picks: whether the unit uses the style that `action`
    returns. number: of the unit.
    """

    def handle(*values: Any) -> list[Any]:
        try:
            refuse_strangers(_FORBIDDEN)
            result = action(*values)
        except InstantStyleError as error:
            problem = problem_box(error_sentence(error))
            return [gr.update(), gr.update(), problem, *[gr.update()] * others]
        if result is None:
            return [gr.update()] * (others + 3)
        name, message = result
        listed = style_choices()
        picked = gr.update(choices=listed, **({"value": name} if picks else {}))
        return [
            picked,
            card(name, number),
            html.escape(message),
            *[gr.update(choices=listed)] * others,
        ]

    return handle


def _picked(name: str) -> str:
    if not name:
        raise InstantStyleError("no saved style is picked; pick one first.")
    return name
