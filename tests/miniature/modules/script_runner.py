"""One tab's scripts: makes the instances and their controls, and calls their hooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from modules import errors, script_callbacks, shared
from modules.script_base import AlwaysVisible, OnComponent, Script


def wrap_call(func, filename, funcname, *args, default=None, **kwargs):
    try:
        return func(*args, **kwargs)
    except Exception:
        errors.report(f"Error calling: {filename}/{funcname}", exc_info=True)
    return default


def _api_arg(control: Any) -> Any:
    """What /sdapi/v1/script-info says about one control."""
    from modules.api import models

    arg = models.ScriptArg(label=control.label or "")
    for field in ("value", "minimum", "maximum", "step"):
        value = getattr(control, field, None)
        if value is not None:
            setattr(arg, field, value)
    choices = getattr(control, "choices", None)
    if choices is not None:
        arg.choices = [x[0] if isinstance(x, tuple) else x for x in choices]
    return arg


class ScriptRunner:
    def __init__(self) -> None:
        self.scripts: list[Script] = []
        self.selectable_scripts: list[Script] = []
        self.alwayson_scripts: list[Script] = []
        self.titles: list[str] = []
        self.title_map: dict[str, Script] = {}
        self.infotext_fields: list = []
        self.paste_field_names: list[str] = []
        self.inputs: list = [None]
        self.callback_map: dict[str, tuple[int, list]] = {}
        self.callback_names = [
            "before_process",
            "process",
            "before_process_batch",
            "after_extra_networks_activate",
            "process_batch",
            "postprocess",
            "postprocess_batch",
            "postprocess_batch_list",
            "post_sample",
            "on_mask_blend",
            "postprocess_image",
            "postprocess_maskoverlay",
            "postprocess_image_after_composite",
            "before_component",
            "after_component",
        ]
        self.on_before_component_elem_id: dict[str, list] = {}
        self.on_after_component_elem_id: dict[str, list] = {}

    # -- instances ---------------------------------------------------------------------------

    def initialize_scripts(self, is_img2img: bool) -> None:
        from modules import scripts

        self.scripts.clear()
        self.alwayson_scripts.clear()
        self.selectable_scripts.clear()
        for data in scripts.scripts_data:
            try:
                script = data.script_class()
            except Exception:
                errors.report(f"Error # failed to initialize Script {data.module}: ", exc_info=True)
                continue
            script.filename = data.path
            script.is_txt2img = not is_img2img
            script.is_img2img = is_img2img
            script.tabname = "img2img" if is_img2img else "txt2img"
            visibility = script.show(is_img2img)
            if visibility == AlwaysVisible:
                self.scripts.append(script)
                self.alwayson_scripts.append(script)
                script.alwayson = True
            elif visibility:
                self.scripts.append(script)
                self.selectable_scripts.append(script)
        self.callback_map.clear()
        self.apply_on_before_component_callbacks()

    def apply_on_before_component_callbacks(self) -> None:
        for script in self.scripts:
            for listed, known in (
                (script.on_before_component_elem_id, self.on_before_component_elem_id),
                (script.on_after_component_elem_id, self.on_after_component_elem_id),
            ):
                for elem_id, callback in listed or []:
                    known.setdefault(elem_id, []).append((callback, script))
                if listed:
                    listed.clear()

    def reload_sources(self, cache: dict) -> None:
        """New instances of the same classes; their `ui` is not called again."""
        from modules import script_loading

        for i, script in enumerate(list(self.scripts)):
            if script.filename not in cache:
                cache[script.filename] = script_loading.load_module(script.filename)
            for item in vars(cache[script.filename]).values():
                if type(item) is type and issubclass(item, Script):
                    self.scripts[i] = item()
                    self.scripts[i].filename = script.filename
                    self.scripts[i].args_from = script.args_from
                    self.scripts[i].args_to = script.args_to

    # -- the page ----------------------------------------------------------------------------

    def create_script_ui(self, script: Script) -> None:
        script.args_from = script.args_to = len(self.inputs)
        try:
            self.create_script_ui_inner(script)
        except Exception:
            errors.report(f"Error creating UI for {script.name}: ", exc_info=True)

    def create_script_ui_inner(self, script: Script) -> None:
        from modules.api import models

        controls = wrap_call(script.ui, script.filename, "ui", script.is_img2img)
        script.controls = controls
        if controls is None:
            return
        title = wrap_call(script.title, script.filename, "title", default=script.filename)
        script.name = title.lower()
        for control in controls:
            control.custom_script_source = Path(script.filename).name
        script.api_info = models.ScriptInfo(
            name=script.name,
            is_img2img=script.is_img2img,
            is_alwayson=script.alwayson,
            args=[_api_arg(x) for x in controls],
        )
        self.infotext_fields += script.infotext_fields or []
        self.paste_field_names += script.paste_field_names or []
        self.inputs += controls
        script.args_to = len(self.inputs)

    def setup_ui_for_section(self, section: str | None, scriptlist: list | None = None) -> None:
        for script in self.alwayson_scripts if scriptlist is None else scriptlist:
            if script.alwayson and script.section != section:
                continue
            if not script.create_group:
                self.create_script_ui(script)
                continue
            with gr.Group(visible=script.alwayson) as group:
                self.create_script_ui(script)
            script.group = group

    def prepare_ui(self) -> None:
        self.inputs = [None]

    def setup_ui(self) -> list:
        titles = [wrap_call(x.title, x.filename, "title") or x.filename for x in self.scripts]
        self.title_map = {t.lower(): s for t, s in zip(titles, self.scripts, strict=True)}
        self.titles = [
            wrap_call(x.title, x.filename, "title") or f"{x.filename} [error]"
            for x in self.selectable_scripts
        ]
        self.setup_ui_for_section(None)
        dropdown = gr.Dropdown(
            label="Script",
            elem_id="script_list",
            choices=["None", *self.titles],
            value="None",
            type="index",
        )
        self.inputs[0] = dropdown
        self.setup_ui_for_section(None, self.selectable_scripts)
        groups = [x.group for x in self.selectable_scripts]

        def select_script(index):
            return [gr.update(visible=i + 1 == (index or 0)) for i in range(len(groups))]

        dropdown.change(fn=select_script, inputs=[dropdown], outputs=groups)

        def shown(title: str) -> Callable:
            return lambda params: gr.update(visible=params.get("Script") == title)

        self.infotext_fields.append((dropdown, lambda x: gr.update(value=x.get("Script", "None"))))
        self.infotext_fields += [
            (x.group, shown(t)) for x, t in zip(self.selectable_scripts, self.titles, strict=True)
        ]
        self.apply_on_before_component_callbacks()
        return self.inputs

    def script(self, title: str) -> Script | None:
        return self.title_map.get(title.lower())

    # -- running -----------------------------------------------------------------------------

    def run(self, p, *args):
        index = args[0]
        if not index:
            return None
        script = self.selectable_scripts[index - 1]
        processed = script.run(p, *args[script.args_from : script.args_to])
        shared.total_tqdm.clear()
        return processed

    def list_scripts_for_method(self, method_name: str) -> list[Script]:
        of_all = method_name in ("before_component", "after_component")
        return self.scripts if of_all else self.alwayson_scripts

    def create_ordered_callbacks_list(self, method_name, *, enable_user_sort=True) -> list:
        category = f"script_{method_name}"
        callbacks: list = []
        for script in self.list_scripts_for_method(method_name):
            own = getattr(script.__class__, method_name, None)
            if own == getattr(Script, method_name, None):
                continue
            script_callbacks.add_callback(
                callbacks,
                script,
                category=category,
                name=script.__class__.__name__,
                filename=script.filename,
            )
        return script_callbacks.sort_callbacks(
            category, callbacks, enable_user_sort=enable_user_sort
        )

    def ordered_callbacks(self, method_name, *, enable_user_sort=True) -> list:
        category = f"script_{method_name}"
        count = len(self.list_scripts_for_method(method_name))
        known_count, callbacks = self.callback_map.get(category, (-1, None))
        if callbacks is None or known_count != count:
            callbacks = self.create_ordered_callbacks_list(
                method_name, enable_user_sort=enable_user_sort
            )
            self.callback_map[category] = count, callbacks
        return callbacks

    def ordered_scripts(self, method_name: str) -> list[Script]:
        return [x.callback for x in self.ordered_callbacks(method_name)]

    def _each(self, method: str, p, *first, **kwargs) -> None:
        """Calls a hook of every script with its slice of the arguments. Errors are only printed."""
        for script in self.ordered_scripts(method):
            try:
                args = p.script_args[script.args_from : script.args_to]
                getattr(script, method)(p, *first, *args, **kwargs)
            except Exception:
                errors.report(f"Error running {method}: {script.filename}", exc_info=True)

    def before_process(self, p) -> None:
        self._each("before_process", p)

    def process(self, p) -> None:
        self._each("process", p)

    def process_before_every_sampling(self, p, **kwargs) -> None:
        self._each("process_before_every_sampling", p, **kwargs)

    def before_process_batch(self, p, **kwargs) -> None:
        self._each("before_process_batch", p, **kwargs)

    def after_extra_networks_activate(self, p, **kwargs) -> None:
        self._each("after_extra_networks_activate", p, **kwargs)

    def process_batch(self, p, **kwargs) -> None:
        self._each("process_batch", p, **kwargs)

    def postprocess(self, p, processed) -> None:
        self._each("postprocess", p, processed)

    def postprocess_batch(self, p, images, **kwargs) -> None:
        self._each("postprocess_batch", p, images=images, **kwargs)

    def postprocess_batch_list(self, p, pp, **kwargs) -> None:
        self._each("postprocess_batch_list", p, pp, **kwargs)

    def post_sample(self, p, ps) -> None:
        self._each("post_sample", p, ps)

    def on_mask_blend(self, p, mba) -> None:
        self._each("on_mask_blend", p, mba)

    def postprocess_image(self, p, pp) -> None:
        self._each("postprocess_image", p, pp)

    def postprocess_maskoverlay(self, p, ppmo) -> None:
        self._each("postprocess_maskoverlay", p, ppmo)

    def postprocess_image_after_composite(self, p, pp) -> None:
        self._each("postprocess_image_after_composite", p, pp)

    def before_hr(self, p) -> None:
        self._each("before_hr", p)

    def setup_scrips(self, p, *, is_ui=True) -> None:
        for script in self.ordered_scripts("setup"):
            if not is_ui and script.setup_for_ui_only:
                continue
            try:
                script.setup(p, *p.script_args[script.args_from : script.args_to])
            except Exception:
                errors.report(f"Error running setup: {script.filename}", exc_info=True)

    def before_component(self, component, **kwargs) -> None:
        self._on_component(self.on_before_component_elem_id, kwargs.get("elem_id"), component)
        self._component_hook("before_component", component, kwargs)

    def after_component(self, component, **kwargs) -> None:
        self._on_component(self.on_after_component_elem_id, component.elem_id, component)
        self._component_hook("after_component", component, kwargs)

    def _on_component(self, callbacks: dict, elem_id: str | None, component) -> None:
        for callback, script in callbacks.get(elem_id, []):
            try:
                callback(OnComponent(component=component))
            except Exception:
                errors.report(f"Error running on_component: {script.filename}", exc_info=True)

    def _component_hook(self, method: str, component, kwargs: dict) -> None:
        for script in self.ordered_scripts(method):
            try:
                getattr(script, method)(component, **kwargs)
            except Exception:
                errors.report(f"Error running {method}: {script.filename}", exc_info=True)

    def set_named_arg(self, args, script_name, arg_elem_id, value, fuzzy=False):
        """A copy of the arguments (or the same list) with one control's value replaced."""
        script = next((x for x in self.scripts if x.name == script_name), None)
        if script is None:
            raise RuntimeError(f"script {script_name} not found")
        for i, control in enumerate(script.controls):
            same = arg_elem_id == control.elem_id
            if not (arg_elem_id in control.elem_id if fuzzy else same):
                continue
            index = script.args_from + i
            if isinstance(args, tuple):
                return (*args[:index], value, *args[index + 1 :])
            if isinstance(args, list):
                args[index] = value
                return args
            raise RuntimeError(f"args is not a list or tuple, but {type(args)}")
        raise RuntimeError(f"arg_elem_id {arg_elem_id} not found in script {script_name}")
