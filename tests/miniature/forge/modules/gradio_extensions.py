"""How Forge changes Gradio 4: A1111's hooks, and the words of Gradio 3 that are still used."""

from __future__ import annotations

import inspect
import warnings
from functools import wraps

import gradio as gr
import gradio.component_meta
from modules import patches, ui_tempdir
from modules.gradio_hooks import announced, with_tooltip


def Component_init(self, *args, **kwargs) -> None:
    self.webui_tooltip = kwargs.pop("tooltip", None)
    announced(original_Component_init)(self, *args, **kwargs)


def BlockContext_init(self, *args, **kwargs) -> None:
    announced(original_BlockContext_init)(self, *args, **kwargs)


def _patch(obj, field: str, replacement):
    return patches.patch(__name__, obj=obj, field=field, replacement=replacement)


original_Component_init = _patch(gr.components.Component, "__init__", Component_init)
original_BlockContext_init = _patch(gr.blocks.BlockContext, "__init__", BlockContext_init)
_patch(gr.blocks.Block, "get_config", with_tooltip(gr.blocks.Block.get_config))

# Gradio 4 writes a .pyi file beside every class derived from a component
gradio.component_meta.create_or_modify_pyi = lambda *args: None
gradio.component_meta.updateable = lambda x: x
ui_tempdir.install_ui_tempdir_override()


class EventWrapper:
    """An event that takes `_js` as well as `js`."""

    def __init__(self, event) -> None:
        self.event = event
        for name in ("has_trigger", "event_name", "callback"):
            setattr(self, name, getattr(event, name, None))
        self.__self__ = getattr(event, "__self__", None)

    def __call__(self, *args, **kwargs):
        if "_js" in kwargs:
            kwargs["js"] = kwargs.pop("_js")
        return self.event(*args, **kwargs)


def repair(grclass) -> None:
    """`source=`, `tooltip=` and `.update` go on working; other unknown arguments are dropped."""
    if not getattr(grclass, "EVENTS", None):
        return
    original = grclass.__init__
    known = inspect.signature(original).parameters

    @wraps(original)
    def __init__(self, *args, tooltip=None, source=None, **kwargs) -> None:
        if source:
            kwargs["sources"] = [source]
        for name in [name for name in kwargs if name not in known]:
            del kwargs[name]
            warnings.warn(
                f"unexpected argument for {grclass.__name__}: {name}",
                DeprecationWarning,  # Forge's is its own: tests in parallel could not report it
                stacklevel=2,
            )
        original(self, *args, **kwargs)
        self.webui_tooltip = tooltip
        for event in self.EVENTS:
            setattr(self, str(event), EventWrapper(getattr(self, str(event))))

    grclass.__init__ = __init__
    grclass.update = gr.update


for _component in set(gr.components.__all__ + gr.layouts.__all__):
    repair(getattr(gr, _component, None))

gr.Box = gr.Group
