"""Models to download: a list under the units of each tab, empty until it is opened.

The list is HTML. For a click on one of its buttons the page's script presses a hidden button;
while a download runs it presses that once a second. Each press returns the list of that moment.
"""

from __future__ import annotations

import gradio as gr

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.page.controls import ElemId

_UNOPENED = '<div class="instantstyle-downloads"></div>'
# Takes the clicked button's action from the frame of the list, where the script has put it.
_TAKE_ACTION = """() => {
    const frame = document.querySelector('[id$="_instantstyle_downloads"][data-asked]');
    const asked = frame ? frame.dataset.asked : "";
    if (frame) frame.removeAttribute("data-asked");
    return [asked];
}"""


def build(elem_id: ElemId) -> None:
    """Build the list and its events."""
    with gr.Accordion("Models to download", open=False, elem_id=elem_id("downloads")):
        listed = gr.HTML(_UNOPENED, elem_id=elem_id("downloads_list"))
    action = gr.Textbox(
        value="",
        label="Download",
        elem_id=elem_id("downloads_asked"),
        elem_classes=["instantstyle-hidden"],
    )
    refresh = gr.Button(
        "InstantStyle", elem_id=elem_id("downloads_ask"), elem_classes=["instantstyle-hidden"]
    )
    for part in (listed, action, refresh):
        part.do_not_save_to_config = True
    refresh.click(
        fn=act_and_list,
        inputs=[action],
        outputs=[listed],
        _js=_TAKE_ACTION,
        show_progress="hidden",
        queue=False,
    )


def act_and_list(action: str) -> str:
    """Do `action` and return the list as HTML.

    action: "start NAME", with several names separated by spaces, "stop NAME", or "" for nothing.
    """
    from lib_instantstyle.page import download_jobs
    from lib_instantstyle.page.download_list import download_list

    verb, _, name = action.partition(" ")
    problem = ""
    try:
        if verb == "start":
            for file in [download_jobs.published_file(each) for each in name.split(" ")]:
                download_jobs.start(file.name)
        elif verb == "stop":
            download_jobs.stop(name)
    except InstantStyleError as error:
        problem = str(error)
    return download_list(problem)
