"""Gradio components that fit inside forms, the tool button, the accordion that is an input.

Gradio 4 reads from a constructor's signature what to tell the page, hence `wraps`.
"""

from __future__ import annotations

from functools import wraps

import gradio as gr

DummyComponent = gr.Label  # holds the id of a task, which the page's script fills in


class FormComponent:
    def get_expected_parent(self):
        return gr.components.Form


gr.Dropdown.get_expected_parent = FormComponent.get_expected_parent


class ToolButton(FormComponent, gr.Button):
    """Small button with one emoji; its text is the first positional argument."""

    @wraps(gr.Button.__init__)
    def __init__(self, *args, **kwargs):
        classes = kwargs.pop("elem_classes", [])
        super().__init__(*args, elem_classes=["tool", *classes], **kwargs)

    def get_block_name(self):
        return "button"


class ResizeHandleRow(gr.Row):
    @wraps(gr.Row.__init__)
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.elem_classes.append("resize-handle-row")

    def get_block_name(self):
        return "row"


class FormRow(FormComponent, gr.Row):
    def get_block_name(self):
        return "row"


class FormColumn(FormComponent, gr.Column):
    def get_block_name(self):
        return "column"


class FormGroup(FormComponent, gr.Group):
    def get_block_name(self):
        return "group"


class FormHTML(FormComponent, gr.HTML):
    def get_block_name(self):
        return "html"


class FormColorPicker(FormComponent, gr.ColorPicker):
    def get_block_name(self):
        return "colorpicker"


class DropdownMulti(FormComponent, gr.Dropdown):
    @wraps(gr.Dropdown.__init__)
    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "multiselect": True})

    def get_block_name(self):
        return "dropdown"


class DropdownEditable(FormComponent, gr.Dropdown):
    @wraps(gr.Dropdown.__init__)
    def __init__(self, **kwargs):
        super().__init__(**{**kwargs, "allow_custom_value": True})

    def get_block_name(self):
        return "dropdown"


class InputAccordion(gr.Checkbox):
    """A hidden checkbox and an accordion; a script on the page keeps their states the same."""

    global_index = 0

    @wraps(gr.Checkbox.__init__)
    def __init__(self, value, **kwargs):
        self.accordion_id = kwargs.get("elem_id")
        if self.accordion_id is None:
            self.accordion_id = f"input-accordion-{InputAccordion.global_index}"
            InputAccordion.global_index += 1
        hidden = {**kwargs, "elem_id": f"{self.accordion_id}-checkbox", "visible": False}
        super().__init__(value, **hidden)
        follow = f"function(checked){{ inputAccordionChecked('{self.accordion_id}', checked); }}"
        self.change(fn=None, _js=follow, inputs=[self])
        shown = {
            **kwargs,
            "elem_id": self.accordion_id,
            "label": kwargs.get("label", "Accordion"),
            "elem_classes": ["input-accordion"],
            "open": value,
        }
        self.accordion = gr.Accordion(**shown)

    def extra(self):
        """A place in the header of the accordion."""
        return gr.Column(
            elem_id=f"{self.accordion_id}-extra", elem_classes="input-accordion-extra", min_width=0
        )

    def __enter__(self):
        self.accordion.__enter__()
        return self

    def __exit__(self, exc_type, exc_val, exc_tb):
        self.accordion.__exit__(exc_type, exc_val, exc_tb)

    def get_block_name(self):
        return "checkbox"
