"""Markup that several parts of the page share; the scripts in javascript/ bring it to life."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

_ACCEPTED = "image/*,.avif,.heic,.heif,.jxl"  # some systems do not know that these are pictures


def error_sentence(error: Exception, number: int = 1) -> str:
    """The text of `error` as unit `number` shows it: its number left out, a capital first."""
    text = str(error).removeprefix(f"unit {number}: ")
    return text[:1].upper() + text[1:]


def problem_box(sentence: str) -> str:
    """A box with a sentence that says what is wrong; nothing for an empty one."""
    if not sentence:
        return ""
    return f'<div class="instantstyle-status instantstyle-problem">{html.escape(sentence)}</div>'


def small_button(title: str, elem_id: str, allowed: bool = True) -> Any:
    """A small Gradio button. The page's defaults leave it out: they are saved by label."""
    button = gr.Button(
        title,
        elem_id=elem_id,
        size="sm",
        interactive=allowed,
        elem_classes=["instantstyle-small"],
    )
    button.do_not_save_to_config = True
    return button


def repair_button(title: str, request: Mapping[str, object]) -> str:
    """A button whose `request` the page's script carries out; see instantstyle_states.js."""
    data = html.escape(json.dumps(request, separators=(",", ":")))
    return (
        '<button type="button" class="instantstyle-button instantstyle-repair" '
        f'data-request="{data}">{html.escape(title)}</button>'
    )


def value_in_words(value: object) -> str:
    """A field's value on the page, for a sentence or a button."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value) or "empty"


def heading(title: str) -> str:
    """The title of a group of controls."""
    return f'<div class="instantstyle-heading">{html.escape(title)}</div>'


def drop_zone(target: str, title: str, hint: str, several: bool = False) -> str:
    """A box for pictures, kept as text in the text box with the id `target`.

    It takes what is dropped or pasted anywhere in it; the button in it takes a file.
    """
    also = " data-several" if several else ""
    return (
        f'<div class="instantstyle-drop" data-target="{target}"{also} role="group" '
        f'aria-label="{html.escape(title)}">'
        '<div class="instantstyle-pictures"></div>'
        f'<button type="button" class="instantstyle-hint"><b>{html.escape(title)}</b>'
        f"<span>{html.escape(hint)}</span></button>"
        f'<input type="file" accept="{_ACCEPTED}"{" multiple" if several else ""} tabindex="-1" '
        'hidden><div class="instantstyle-refused" role="status" hidden></div></div>'
    )


def region_frame(target: str) -> str:
    """A button that opens a canvas on which the mask in the text box `target` is drawn.

    The script fills the area when it is opened: most people never do.
    """
    return (
        f'<div class="instantstyle-region" data-target="{target}">'
        '<button type="button" class="instantstyle-button instantstyle-region-open" '
        f'aria-expanded="false" aria-controls="{target}_area">Draw the region</button>'
        f'<div class="instantstyle-region-area" id="{target}_area" role="group" hidden></div></div>'
    )


def picture_buttons(drop_zone_target: str, tab: str) -> str:
    """Buttons that take the picture shown in the gallery of `tab`, and the one in img2img."""
    return "".join(
        f'<button type="button" class="instantstyle-button" data-target="{drop_zone_target}" '
        f'data-gallery="{place}" title="{hint}">{title}</button>'
        for place, title, hint in (
            (f"{tab}_gallery", "Last result", "Take the picture that the gallery shows"),
            ("img2img_image", "From img2img", "Take the picture that img2img starts from"),
        )
    )


def block_map_frame(status: str, blocks: str) -> str:
    """An empty block map; `status`, `blocks`: ids of the unit's status and block weights."""
    return f'<div class="instantstyle-map" data-status="{status}" data-blocks="{blocks}"></div>'
