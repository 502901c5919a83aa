"""What A1111 adds to every Gradio component: `tooltip=`, class names, before and after hooks."""

from __future__ import annotations

import gradio as gr
from modules import patches, script_callbacks, scripts


def add_classes_to_gradio_component(comp) -> None:
    comp.elem_classes = [f"gradio-{comp.get_block_name()}", *(comp.elem_classes or [])]
    if getattr(comp, "multiselect", False):
        comp.elem_classes.append("multiselect")


def _announced(init):
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


def IOComponent_init(self, *args, **kwargs) -> None:
    self.webui_tooltip = kwargs.pop("tooltip", None)
    _announced(original_IOComponent_init)(self, *args, **kwargs)


def BlockContext_init(self, *args, **kwargs) -> None:
    _announced(original_BlockContext_init)(self, *args, **kwargs)


def Block_get_config(self):
    config = original_Block_get_config(self)
    tooltip = getattr(self, "webui_tooltip", None)
    if tooltip:
        config["webui_tooltip"] = tooltip
    config.pop("example_inputs", None)
    return config


def Blocks_get_config_file(self, *args, **kwargs):
    config = original_Blocks_get_config_file(self, *args, **kwargs)
    for component in config["components"]:
        if "example_inputs" in component:
            component["example_inputs"] = {"serialized": []}
    return config


def _patch(obj, field: str, replacement):
    return patches.patch(__name__, obj=obj, field=field, replacement=replacement)


original_IOComponent_init = _patch(gr.components.IOComponent, "__init__", IOComponent_init)
original_Block_get_config = _patch(gr.blocks.Block, "get_config", Block_get_config)
original_BlockContext_init = _patch(gr.blocks.BlockContext, "__init__", BlockContext_init)
original_Blocks_get_config_file = _patch(
    gr.blocks.Blocks, "get_config_file", Blocks_get_config_file
)
