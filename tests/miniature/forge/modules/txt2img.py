"""What the buttons of txt2img call, each in the main thread."""

from __future__ import annotations

import gradio as gr
from modules_forge import main_thread

from tests.miniature.modules import txt2img as a1111
from tests.miniature.modules.txt2img import *  # noqa: F403


def txt2img(id_task: str, request: gr.Request, *args):
    return main_thread.run_and_wait_result(a1111.txt2img, id_task, request, *args)


def txt2img_upscale(id_task: str, request: gr.Request, *args):
    return main_thread.run_and_wait_result(a1111.txt2img_upscale, id_task, request, *args)
