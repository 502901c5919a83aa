"""Gradio components of the page: InputAccordion is a function here."""

from __future__ import annotations

from functools import wraps

import gradio as gr
from modules import gradio_extensions  # noqa: F401  first: it changes every component

from tests.miniature.modules import ui_components as a1111
from tests.miniature.modules.ui_components import *  # noqa: F403

DummyComponent = gr.Textbox


class ToolButton(a1111.ToolButton):
    @wraps(gr.Button.__init__)
    def __init__(self, value="", *args, **kwargs):
        super().__init__(value, *args, **kwargs)


class InputAccordionImpl(a1111.InputAccordion):
    """Made by InputAccordion; Gradio itself makes plain copies of it, without an accordion."""

    @wraps(gr.Checkbox.__init__)
    def __init__(self, value=None, setup=False, **kwargs):
        if setup:
            super().__init__(value, **kwargs)
        else:
            gr.Checkbox.__init__(self, value=value, **kwargs)


def InputAccordion(value=None, **kwargs):
    return InputAccordionImpl(value=value, setup=True, **kwargs)
