"""The list of models to download as HTML: what each file is, where it stands, what can be done."""

from __future__ import annotations

import html
import time

from lib_instantstyle.files.folder import shown_name
from lib_instantstyle.hosts import own_folder
from lib_instantstyle.hosts.page import is_public
from lib_instantstyle.models.published import address
from lib_instantstyle.page import download_jobs
from lib_instantstyle.page.download_jobs import State


def download_list(problem: str) -> str:
    """All of them, under the sentence of what went wrong, if anything did.

    `data-at` makes every answer a new one, which Gradio then draws.
    """
    states = download_jobs.states()
    forbidden = is_public()
    said = problem or (download_jobs.FORBIDDEN if forbidden else "")
    runs = " data-runs" if any(state.runs for state in states) else ""
    folder = "models/InstantStyle" if forbidden else str(own_folder())
    here = sum(state.here is not None for state in states)
    rows = "".join(_row(state, forbidden) for state in states)
    return (
        f'<div class="instantstyle-downloads" data-here="{here}" data-at="{time.time_ns()}"{runs}>'
        f"<p>Files go into <code>{html.escape(folder)}</code>, where none is ever "
        "replaced. An interrupted download goes on from where it stopped.</p>"
        f"{_problem(said)}{rows}</div>"
    )


def _row(state: State, forbidden: bool) -> str:
    file = state.file
    return (
        '<div class="instantstyle-download"><div class="instantstyle-download-what">'
        f"<b>{html.escape(file.title)}</b>"
        f'<span><a href="{html.escape(address(file))}" target="_blank" rel="noopener">'
        f"{html.escape(file.name)}</a>, {_size(file.size)}, {html.escape(file.licence)}</span>"
        f"<small>SHA-256 {file.sha256}</small>{_problem(state.said)}</div>"
        f'<div class="instantstyle-download-how">{_how(state, forbidden)}</div></div>'
    )


def _how(state: State, forbidden: bool) -> str:
    """Where it stands, and what to do about it."""
    file = state.file
    if state.here:
        return f"<span>is here, as {html.escape(shown_name(state.here.name))}</span>"
    share = f"{100 * state.arrived // file.size} %"
    if state.runs:
        return (
            f'<progress value="{state.arrived}" max="{file.size}"></progress>'
            f"<span>{_size(state.arrived)} of {_size(file.size)}, {share}</span>"
            + (_button("", file.name, "Stopping") if state.stops else _button("stop", file.name))
        )
    if forbidden:
        return "<span>is not here</span>"
    begun = f"<span>{_size(state.arrived)} of it are here</span>" if state.arrived else ""
    return begun + _button("start", file.name, "Go on" if begun else "Download")


def _button(act: str, name: str, title: str = "Cancel") -> str:
    given = f'data-ask="{act} {html.escape(name)}"' if act else "disabled"
    return (
        f'<button type="button" class="instantstyle-button" {given} '
        f'aria-label="{title} {html.escape(name)}">{title}</button>'
    )


def _problem(sentence: str) -> str:
    if not sentence:
        return ""
    return f'<div class="instantstyle-status instantstyle-problem">{html.escape(sentence)}</div>'


def _size(count: int) -> str:
    """Bytes for people, in the units that publishers use."""
    if count < 10**6:
        return f"{count / 10**3:.0f} kB"
    return f"{count / 10**6:,.0f} MB" if count < 10**9 else f"{count / 10**9:.2f} GB"
