"""How A1111 changes Gradio 3: `tooltip=`, class names, before and after hooks."""

from __future__ import annotations

import gradio as gr
from modules import patches
from modules.gradio_hooks import (
    add_classes_to_gradio_component,  # noqa: F401
    announced,
    with_tooltip,
)


def IOComponent_init(self, *args, **kwargs) -> None:
    self.webui_tooltip = kwargs.pop("tooltip", None)
    announced(original_IOComponent_init)(self, *args, **kwargs)


def BlockContext_init(self, *args, **kwargs) -> None:
    announced(original_BlockContext_init)(self, *args, **kwargs)


def Block_get_config(self):
    return with_tooltip(original_Block_get_config)(self)


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
