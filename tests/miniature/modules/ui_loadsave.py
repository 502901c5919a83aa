"""ui-config.json: starting values of the page, stored by label; equal labels share theirs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from modules import errors
from modules.ui_components import InputAccordion, ToolButton

FIELDS = {
    gr.Slider: ("value", "minimum", "maximum", "step"),
    gr.Radio: ("value",),
    gr.Checkbox: ("value",),
    gr.Textbox: ("value",),
    gr.Number: ("value",),
    gr.Dropdown: ("value",),
    ToolButton: (),
    gr.Button: (),
}


def radio_choices(comp) -> list:
    return [x[0] if isinstance(x, tuple) else x for x in getattr(comp, "choices", None) or []]


def _is_choice(x) -> Callable[[Any], bool] | None:
    """A stored value is dropped where it is no choice any more."""
    if not isinstance(x, (gr.Radio, gr.Dropdown)):
        return None

    def check(value) -> bool:
        choices = radio_choices(x)
        if getattr(x, "multiselect", False):
            return all(v in choices for v in value)
        return value in choices

    return check


class UiLoadsave:
    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.ui_settings: dict[str, Any] = {}
        self.component_mapping: dict[str, Any] = {}
        self.collisions: list[str] = []
        self.error_loading = False
        self.finalized_ui = False
        try:
            self.ui_settings = self.read_from_file()
        except FileNotFoundError:
            pass
        except Exception as e:
            self.error_loading = True
            errors.display(e, "loading settings")

    def read_from_file(self) -> dict:
        return json.loads(Path(self.filename).read_text(encoding="utf8"))

    def write_to_file(self, current_ui_settings: dict) -> None:
        text = json.dumps(current_ui_settings, indent=4, ensure_ascii=False)
        Path(self.filename).write_text(text, encoding="utf8")

    def dump_defaults(self) -> None:
        if not (self.error_loading and Path(self.filename).exists()):
            self.write_to_file(self.ui_settings)

    def _apply(self, path: str, obj, field: str, attribute: str | None = None, check=None) -> None:
        key = f"{path}/{field}"
        source = getattr(obj, "custom_script_source", None)
        if source is not None:
            key = f"customscript/{source}/{key}"
        if getattr(obj, "do_not_save_to_config", False):
            return
        attribute = attribute or field
        saved = self.ui_settings.get(key)
        if saved is None:
            self.ui_settings[key] = getattr(obj, attribute)
        elif check is None or check(saved):
            if isinstance(obj, gr.Textbox) and field == "value":
                saved = str(saved)
            elif isinstance(obj, gr.Number) and field == "value":
                saved = float(saved)
            setattr(obj, attribute, saved)
            init_field = getattr(obj, "init_field", None)
            if field == "value" and init_field is not None:
                init_field(saved)
        if field != "value" or isinstance(obj, gr.Accordion):
            return
        if key in self.component_mapping:
            self.collisions.append(key)
        self.component_mapping.setdefault(key, obj)

    def add_component(self, path: str, x) -> None:
        assert not self.finalized_ui
        if type(x) in FIELDS:
            if x.visible:
                self._apply(path, x, "visible")
            for field in FIELDS[type(x)]:
                self._apply(path, x, field, check=_is_choice(x) if field == "value" else None)
        elif type(x) is InputAccordion:
            if hasattr(x, "custom_script_source"):
                x.accordion.custom_script_source = x.custom_script_source
            if x.accordion.visible:
                self._apply(path, x.accordion, "visible")
            self._apply(path, x, "value")
            self._apply(path, x.accordion, "value", "open")

    def add_block(self, x, path: str = "") -> None:
        if hasattr(x, "children"):
            for child in x.children:
                self.add_block(child, path)
        elif x.label is not None:
            self.add_component(f"{path}/{x.label}", x)
        elif isinstance(x, gr.Button) and x.value is not None:
            self.add_component(f"{path}/{x.value}", x)

    def iter_changes(self, current_ui_settings: dict, values) -> Iterator[tuple]:
        for (path, component), new in zip(self.component_mapping.items(), values, strict=False):
            old = current_ui_settings.get(path)
            choices = radio_choices(component)
            if isinstance(new, int) and choices:
                if new >= len(choices):
                    continue
                new = choices[new]
            if new != old and not (old is None and new == "") and new != []:
                yield path, old, new

    def ui_view(self, *values) -> str:
        changes = self.iter_changes(self.read_from_file(), values)
        rows = [f"<tr><td>{path}</td><td>{a}</td><td>{b}</td></tr>" for path, a, b in changes]
        return f"<table>{''.join(rows) or '<tr><td>No changes</td></tr>'}</table>"

    def ui_apply(self, *values) -> str:
        current = self.read_from_file()
        changes = list(self.iter_changes(dict(current), values))
        if not changes:
            return "No changes."
        self.write_to_file({**current, **{path: new for path, _, new in changes}})
        return f"Wrote {len(changes)} changes."

    def create_ui(self) -> None:
        with gr.Row():
            self.ui_defaults_view = gr.Button("View changes", elem_id="ui_defaults_view")
            self.ui_defaults_apply = gr.Button(
                "Apply", elem_id="ui_defaults_apply", variant="primary"
            )
        self.ui_defaults_review = gr.HTML("")

    def setup_ui(self) -> None:
        """After all blocks were added."""
        assert not self.finalized_ui
        self.finalized_ui = True
        inputs = list(self.component_mapping.values())
        for button, fn in (
            (self.ui_defaults_view, self.ui_view),
            (self.ui_defaults_apply, self.ui_apply),
        ):
            button.click(fn=fn, inputs=inputs, outputs=[self.ui_defaults_review])
