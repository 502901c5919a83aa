"""The settings tab, the quick settings on top, and Reload UI."""

from __future__ import annotations

import gradio as gr
from modules import script_callbacks, shared, ui_common
from modules.call_queue import wrap_gradio_call_no_job
from modules.shared import opts
from modules.shared_options import options_templates
from modules.ui_components import FormRow


def _component_args(info) -> dict:
    args = info.component_args
    return (args() if callable(args) else args) or {}


def get_value_for_setting(key: str):
    args = {k: v for k, v in _component_args(opts.data_labels[key]).items() if k != "precision"}
    return gr.update(value=getattr(opts, key), **args)


def create_setting_component(key: str, is_quicksettings: bool = False):
    info = opts.data_labels[key]
    by_type = {str: gr.Textbox, int: gr.Number, bool: gr.Checkbox}
    make = info.component or by_type.get(type(info.default))
    if make is None:
        raise Exception(f"bad options item type: {type(info.default)} for key {key}")

    def create():
        return make(
            label=info.label,
            value=lambda: opts.data.get(key, info.default),
            elem_id=f"setting_{key}",
            **_component_args(info),
        )

    def create_with_refresh():
        component = create()
        ui_common.create_refresh_button(
            component, info.refresh, info.component_args, f"refresh_{key}"
        )
        return component

    if info.refresh is None:
        return create()
    if is_quicksettings:
        return create_with_refresh()
    with FormRow():
        return create_with_refresh()


def _is_drawn(keys: list[str]) -> bool:
    return not shared.cmd_opts.short_settings or not options_templates.keys() & set(keys)


class UiSettings:
    def __init__(self) -> None:
        self.components: list = []
        self.component_dict: dict = {}
        self.quicksettings: list[str] = []

    def register_settings(self) -> None:
        script_callbacks.ui_settings_callback()

    def run_settings(self, *args):
        pairs = list(zip(opts.data_labels, args, self.components, strict=True))
        for key, value, component in pairs:
            assert component is self.dummy or opts.same_type(
                value, opts.data_labels[key].default
            ), f"Bad value for setting {key}: {value}"
        changed = [k for k, v, x in pairs if x is not self.dummy and opts.set(k, v)]
        opts.save(shared.config_filename)
        names = f": {', '.join(changed)}" if changed else ""
        return opts.dumpjson(), f"{len(changed)} settings changed{names}."

    def run_settings_single(self, value, key: str):
        if not opts.same_type(value, opts.data_labels[key].default):
            return gr.update(visible=True), opts.dumpjson()
        if value is None or not opts.set(key, value):
            return gr.update(value=getattr(opts, key)), opts.dumpjson()
        opts.save(shared.config_filename)
        return get_value_for_setting(key), opts.dumpjson()

    def create_ui(self, loadsave, dummy_component) -> None:
        self.dummy = dummy_component
        shared.settings_components = self.component_dict
        opts.reorder()
        self.quicksettings = [x for x in opts.quicksettings_list if x in opts.data_labels]
        sections: dict[tuple, list[str]] = {}
        for key, info in opts.data_labels.items():
            sections.setdefault(info.section, []).append(key)
        made: dict[str, object] = {}
        with gr.Blocks(analytics_enabled=False) as self.interface:
            with gr.Row():
                submit = gr.Button("Apply settings", variant="primary", elem_id="settings_submit")
                restart = gr.Button(
                    "Reload UI", variant="primary", elem_id="settings_restart_gradio"
                )
            restart.click(
                fn=shared.state.request_restart, _js="restart_reload", inputs=[], outputs=[]
            )
            self.result = gr.HTML(elem_id="settings_result")
            with gr.Tabs(elem_id="settings"):
                for (section_id, text), keys in sections.items():
                    if section_id is None or not _is_drawn(keys):
                        continue
                    with (
                        gr.TabItem(elem_id=f"settings_{section_id}", label=text),
                        gr.Column(elem_id=f"column_settings_{section_id}", variant="compact"),
                    ):
                        for key in keys:
                            if key not in self.quicksettings:
                                made[key] = create_setting_component(key)
                with gr.TabItem("Defaults", id="defaults", elem_id="settings_tab_defaults"):
                    loadsave.create_ui()
            self.text_settings = gr.Textbox(
                elem_id="settings_json", value=lambda: opts.dumpjson(), visible=False
            )
        self.component_dict.update(made)
        self.components = [made.get(key, dummy_component) for key in opts.data_labels]
        self.submit = submit

    def add_quicksettings(self) -> None:
        with gr.Row(elem_id="quicksettings", variant="compact"):
            for key in self.quicksettings:
                self.component_dict[key] = create_setting_component(key, is_quicksettings=True)

    def add_functionality(self, demo: gr.Blocks) -> None:
        self.submit.click(
            fn=wrap_gradio_call_no_job(
                lambda *args: self.run_settings(*args), extra_outputs=[gr.update()]
            ),
            inputs=self.components,
            outputs=[self.text_settings, self.result],
        )
        for key in self.quicksettings:
            component = self.component_dict[key]
            event = getattr(component, "release", component.change)
            event(
                fn=lambda value, key=key: self.run_settings_single(value, key),
                inputs=[component],
                outputs=[component, self.text_settings],
            )
        keys = [key for key in opts.data_labels if key in self.component_dict]
        demo.load(
            fn=lambda: [get_value_for_setting(key) for key in keys],
            inputs=[],
            outputs=[self.component_dict[key] for key in keys],
            queue=False,
        )
