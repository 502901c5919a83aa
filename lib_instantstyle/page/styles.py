"""The library of styles in a unit's tab: pick, save, rename, delete, import, export."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.regular_file import reading
from lib_instantstyle.hosts import model_folders
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.controls import ElemId, build_control
from lib_instantstyle.page.file_lists import style_choices
from lib_instantstyle.page.style_cards import summary, thumbnail_url
from lib_instantstyle.styles.library import SUFFIX, library

SAVED_FIELDS = (*TABLE.page_fields, *TABLE.pictures)  # of a unit, as they are saved
# Asked in the browser: a name that comes back empty means no.
_ASK = "(name) => [name && confirm(`Delete the saved style ${name}?`) ? name : '']"

# The style to show afterwards, and what to say; None if nothing was done.
Act = Callable[..., "tuple[str, str] | None"]


def build(number: int, elem_id: ElemId) -> dict[str, Any]:
    """The components of unit `number`; "style" is the unit's field of that name."""

    def own(name: str) -> str:
        return str(elem_id(f"unit_{number}_{name}"))

    parts: dict[str, Any] = {}
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
                parts["style_save"] = _button("Save reference as style", own("style_save"))
                parts["style_rename"] = _button("Rename", own("style_rename"))
                parts["style_delete"] = _button("Delete", own("style_delete"))
                parts["style_import"] = gr.UploadButton(
                    "Import a file",
                    file_types=[SUFFIX],
                    file_count="single",
                    size="sm",
                    elem_id=own("style_import"),
                    elem_classes=["instantstyle-small"],
                )
                parts["style_export"] = _button("Export", own("style_export"))
            parts["style_file"] = gr.File(
                label="Exported style", visible=False, elem_id=own("style_file")
            )
            parts["style_message"] = gr.HTML("", elem_id=own("style_message"))
    for part in parts.values():
        part.do_not_save_to_config = True  # what is saved here is no default of the page
    return parts


def wire(units: Sequence[Mapping[str, Any]]) -> None:
    """Make the components of all units act; a unit holds those of `build` and of SAVED_FIELDS."""
    for unit in units:
        others = [each["style"] for each in units if each is not unit]
        shown = [unit["style"], unit["style_card"], unit["style_message"], *others]
        for part, event, act, names, picks, more in (
            # The unit has the reference already, and may not have both.
            ("style_save", "click", save, ("style_name", *SAVED_FIELDS), False, {}),
            ("style_rename", "click", rename, ("style", "style_name"), True, {}),
            ("style_delete", "click", delete, ("style",), True, {"_js": _ASK}),
            ("style_import", "upload", take_in, ("style_import", "style_name"), True, {}),
        ):
            listen = getattr(unit[part], event)
            inputs = [unit[name] for name in names]
            listen(fn=_answer(act, len(others), picks), inputs=inputs, outputs=shown, **more)
        unit["style"].change(fn=card, inputs=[unit["style"]], outputs=[unit["style_card"]])
        unit["style_export"].click(
            fn=_export,
            inputs=[unit["style"]],
            outputs=[unit["style_file"], unit["style_message"]],
        )


def save(name: str, *values: object) -> tuple[str, str]:
    """Save the unit whose SAVED_FIELDS have these values."""
    from lib_instantstyle.run.style_saving import save_style

    unit = TABLE.parse_unit(dict(zip(SAVED_FIELDS, values)))
    saved = save_style(unit, name)
    return saved.name, f"Saved as {saved.name}, {saved.path.stat().st_size:,} bytes."


def rename(name: str, new_name: str) -> tuple[str, str]:
    """Give the picked style another name."""
    renamed = library(TABLE).rename(_picked(name), new_name)
    return renamed.name, f"Renamed to {renamed.name}."


def delete(name: str) -> tuple[str, str] | None:
    """Delete the picked style, which the browser has asked about; "" is a no."""
    if not name:
        return None
    library(TABLE).delete(name)
    return "", f"Deleted {name}."


def take_in(file: Any, name: str) -> tuple[str, str]:
    """Add an uploaded style file, under `name` or its own."""
    path = Path(getattr(file, "name", file))
    original = Path(getattr(file, "orig_name", path.name))
    taken = library(TABLE).take_in(path.read_bytes(), name.strip() or original.stem)
    return taken.name, f"Imported as {taken.name}."


def export(name: str) -> Path:
    """A copy of the picked style in a folder that the page may serve files from."""
    style = library(TABLE).find(_picked(name))
    copy = Path(tempfile.mkdtemp(prefix="instantstyle-"), style.path.name)
    with reading(style.path):
        copy.write_bytes(style.path.read_bytes())
    return copy


def card(name: str) -> str:
    """Thumbnail and origin of the style `name`, as HTML."""
    if not name:
        return ""
    from lib_instantstyle.models.catalog import scan
    from lib_instantstyle.styles.file import has_other_encoder

    try:
        style = library(TABLE).find(name)
        is_other = has_other_encoder(style.path, scan(model_folders()).image_encoders)
    except InstantStyleError as error:
        return _problem(str(error))
    picture = thumbnail_url(style)
    image = f'<img src="{picture}" alt="Thumbnail of {html.escape(style.name)}">' if picture else ""
    said = f"<div>{html.escape(summary(style))}</div>"
    if is_other:
        said += _problem(f"made with the image encoder {style.info.encoder}, which is not here.")
    return f'<div class="instantstyle-card">{image}{said}</div>'


def _export(name: str) -> tuple[Any, str]:
    try:
        return gr.update(value=str(export(name)), visible=True), ""
    except InstantStyleError as error:
        return gr.update(), _problem(str(error))


def _answer(act: Act, others: int, picks: bool) -> Callable[..., list[Any]]:
    """`act` as a Gradio event: the picked style and its card, what to say, the others' choices.

    picks: whether the unit uses the style that `act` answers with.
    """

    def answer(*values: Any) -> list[Any]:
        try:
            done = act(*values)
        except InstantStyleError as error:
            sentence = str(error).removeprefix("unit 1: ")
            return [gr.update(), gr.update(), _problem(sentence), *[gr.update()] * others]
        if done is None:
            return [gr.update()] * (others + 3)
        name, said = done
        listed = style_choices()
        picked = gr.update(choices=listed, **({"value": name} if picks else {}))
        return [picked, card(name), html.escape(said), *[gr.update(choices=listed)] * others]

    return answer


def _picked(name: str) -> str:
    if not name:
        raise InstantStyleError("no saved style is picked; pick one first.")
    return name


def _problem(sentence: str) -> str:
    sentence = sentence[:1].upper() + sentence[1:]
    return f'<div class="instantstyle-status instantstyle-problem">{html.escape(sentence)}</div>'


def _button(title: str, elem_id: str) -> Any:
    return gr.Button(title, elem_id=elem_id, size="sm", elem_classes=["instantstyle-small"])
