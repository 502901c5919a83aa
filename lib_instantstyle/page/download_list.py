"""The list of models to download as HTML: what each file is, how much is here, its button."""

from __future__ import annotations

import html
import time

from lib_instantstyle import __version__
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.folder import shown_name
from lib_instantstyle.hosts import own_folder
from lib_instantstyle.hosts.page import is_public
from lib_instantstyle.models.published import address, size_in_words
from lib_instantstyle.page import download_jobs
from lib_instantstyle.page.download_jobs import State
from lib_instantstyle.page.markup import problem_box


def download_list(problem: str) -> str:
    """All published files, those for another family than the chosen checkpoint's last.

    Above them the sentence `problem`, or why nothing may be downloaded.

    `data-at` makes every list a new one, which Gradio then draws.
    """
    states = download_jobs.states()
    forbidden = is_public()
    problem = problem or (download_jobs.FORBIDDEN if forbidden else "")
    runs = " data-runs" if any(state.runs for state in states) else ""
    folder = "models/InstantStyle" if forbidden else str(own_folder())
    here = sum(state.here is not None for state in states)
    layout = _chosen_layout()
    states.sort(key=lambda state: bool(state.file.layout) and state.file.layout != layout)
    rows = "".join(_row(state, forbidden) for state in states)
    return (
        f'<div class="instantstyle-downloads" data-here="{here}" data-at="{time.time_ns()}"{runs}>'
        f"<p>Files go into <code>{html.escape(folder)}</code>, where none is ever "
        "replaced. An interrupted download goes on from where it stopped.</p>"
        f"{problem_box(problem)}{rows}<p>sd-webui-instantstyle {__version__}</p></div>"
    )


def _chosen_layout() -> str:
    """The id of the chosen checkpoint's layout; "" if there is none."""
    from lib_instantstyle.hosts.checkpoint import chosen_layers

    try:
        return chosen_layers().layout.id
    except InstantStyleError:
        return ""


def _row(state: State, forbidden: bool) -> str:
    file = state.file
    return (
        '<div class="instantstyle-download"><div class="instantstyle-download-what">'
        f"<b>{html.escape(file.title)}</b>"
        f'<span><a href="{html.escape(address(file))}" target="_blank" rel="noopener">'
        f"{html.escape(file.name)}</a>, {size_in_words(file.size)}, "
        f"{html.escape(file.licence)}</span>"
        f"<small>SHA-256 {file.sha256}</small>{problem_box(state.message)}</div>"
        f'<div class="instantstyle-download-how">{_progress(state, forbidden)}</div></div>'
    )


def _progress(state: State, forbidden: bool) -> str:
    """How much of the file is here, and the button for what can be done next."""
    file = state.file
    if state.here:
        return f"<span>is here, as {html.escape(shown_name(state.here.name))}</span>"
    share = f"{100 * state.arrived // file.size} %"
    if state.runs:
        return (
            f'<progress value="{state.arrived}" max="{file.size}"></progress>'
            f"<span>{size_in_words(state.arrived)} of {size_in_words(file.size)}, {share}</span>"
            + (_button("", file.name, "Stopping") if state.stops else _button("stop", file.name))
        )
    if forbidden:
        return "<span>is not here</span>"
    begun = f"<span>{size_in_words(state.arrived)} of it are here</span>" if state.arrived else ""
    return begun + _button("start", file.name, "Go on" if begun else "Download")


def _button(action: str, name: str, title: str = "Cancel") -> str:
    """A button that the page's script turns into a press of the hidden one; see downloads.py."""
    attribute = f'data-ask="{action} {html.escape(name)}"' if action else "disabled"
    return (
        f'<button type="button" class="instantstyle-button" {attribute} '
        f'aria-label="{title} {html.escape(name)}">{title}</button>'
    )
