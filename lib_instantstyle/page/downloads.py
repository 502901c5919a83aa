"""Models to download: a list under the units of each tab. Nothing is looked up before it is opened.

The list is HTML whose buttons the page's script turns into presses of one hidden button; while
something is under way the script presses it once a second, and gets the list as it stands.
"""

from __future__ import annotations

import gradio as gr

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.page.controls import ElemId

_UNOPENED = '<div class="instantstyle-downloads"></div>'
# What was clicked: the script leaves it on the frame of the list.
_ASKED = """() => {
    const frame = document.querySelector('[id$="_instantstyle_downloads"][data-asked]');
    const asked = frame ? frame.dataset.asked : "";
    if (frame) frame.removeAttribute("data-asked");
    return [asked];
}"""


def build(elem_id: ElemId) -> None:
    """The list, and what makes it act."""
    with gr.Accordion("Models to download", open=False, elem_id=elem_id("downloads")):
        listed = gr.HTML(_UNOPENED, elem_id=elem_id("downloads_list"))
    asked = gr.Textbox(
        value="",
        label="Download",
        elem_id=elem_id("downloads_asked"),
        elem_classes=["instantstyle-hidden"],
    )
    ask = gr.Button(
        "InstantStyle", elem_id=elem_id("downloads_ask"), elem_classes=["instantstyle-hidden"]
    )
    for part in (listed, asked, ask):
        part.do_not_save_to_config = True
    ask.click(
        fn=answer, inputs=[asked], outputs=[listed], _js=_ASKED, show_progress="hidden", queue=False
    )


def answer(asked: str) -> str:
    """Do what was asked ("start NAME", "stop NAME", "" for nothing); the list as HTML."""
    from lib_instantstyle.page import download_jobs
    from lib_instantstyle.page.download_list import download_list

    act, _, name = asked.partition(" ")
    problem = ""
    try:
        if act == "start":
            download_jobs.start(name)
        elif act == "stop":
            download_jobs.stop(name)
    except InstantStyleError as error:
        problem = str(error)
    return download_list(problem)
