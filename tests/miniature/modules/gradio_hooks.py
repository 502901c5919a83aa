"""What the WebUIs add to every Gradio component: class names, and hooks before and after."""

from __future__ import annotations

from modules import script_callbacks, scripts


def add_classes_to_gradio_component(comp) -> None:
    comp.elem_classes = [f"gradio-{comp.get_block_name()}", *(comp.elem_classes or [])]
    if getattr(comp, "multiselect", False):
        comp.elem_classes.append("multiselect")


def announced(init):
    """Wraps a constructor so that scripts hear of the component before and after."""

    def __init__(self, *args, **kwargs) -> None:
        runner = scripts.scripts_current
        if runner is not None:
            runner.before_component(self, **kwargs)
        script_callbacks.before_component_callback(self, **kwargs)
        init(self, *args, **kwargs)
        add_classes_to_gradio_component(self)
        script_callbacks.after_component_callback(self, **kwargs)
        if runner is not None:
            runner.after_component(self, **kwargs)

    return __init__


def with_tooltip(get_config):
    """Wraps `Block.get_config`: the page's script finds the tooltips there."""

    def wrapper(self):
        config = get_config(self)
        tooltip = getattr(self, "webui_tooltip", None)
        if tooltip:
            config["webui_tooltip"] = tooltip
        config.pop("example_inputs", None)
        return config

    return wrapper
