"""Callbacks by category. An exception in one is reported and the next one runs."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from modules import errors, extensions, shared, util


class ImageSaveParams:
    def __init__(self, image, p, filename, pnginfo):
        self.image = image
        self.p = p
        self.filename = filename
        self.pnginfo = pnginfo


class ExtraNoiseParams:
    def __init__(self, noise, x, xi):
        self.noise = noise
        self.x = x
        self.xi = xi


class CFGDenoiserParams:
    """Before the UNet is called. `x` and `sigma` hold the rows of prompt and negative prompt."""

    def __init__(
        self,
        x,
        image_cond,
        sigma,
        sampling_step,
        total_sampling_steps,
        text_cond,
        text_uncond,
        denoiser=None,
    ):
        self.x = x
        self.image_cond = image_cond
        self.sigma = sigma
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.text_cond = text_cond
        self.text_uncond = text_uncond
        self.denoiser = denoiser


class CFGDenoisedParams:
    def __init__(self, x, sampling_step, total_sampling_steps, inner_model):
        self.x = x
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps
        self.inner_model = inner_model


class AfterCFGCallbackParams:
    def __init__(self, x, sampling_step, total_sampling_steps):
        self.x = x
        self.sampling_step = sampling_step
        self.total_sampling_steps = total_sampling_steps


class UiTrainTabParams:
    def __init__(self, txt2img_preview_params):
        self.txt2img_preview_params = txt2img_preview_params


class ImageGridLoopParams:
    def __init__(self, imgs, cols, rows):
        self.imgs = imgs
        self.cols = cols
        self.rows = rows


@dataclasses.dataclass
class BeforeTokenCounterParams:
    prompt: str
    steps: int
    styles: list
    is_positive: bool = True


@dataclasses.dataclass
class ScriptCallback:
    script: str
    callback: Any
    name: str = "unnamed"


CATEGORIES = (
    "app_started",
    "model_loaded",
    "ui_tabs",
    "ui_train_tabs",
    "ui_settings",
    "before_image_saved",
    "image_saved",
    "extra_noise",
    "cfg_denoiser",
    "cfg_denoised",
    "cfg_after_cfg",
    "before_component",
    "after_component",
    "image_grid",
    "infotext_pasted",
    "script_unloaded",
    "before_ui",
    "on_reload",
    "list_optimizers",
    "list_unets",
    "before_token_counter",
)
callback_map: dict[str, list[ScriptCallback]] = {f"callbacks_{x}": [] for x in CATEGORIES}
ordered_callbacks_map: dict[str, list[ScriptCallback]] = {}


def _caller() -> str:
    """The WebUI has the lines of code of the whole stack read for this, which takes long."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame.f_code.co_filename if frame else "unknown file"


def add_callback(callbacks, fun, *, name=None, category="unknown", filename=None) -> None:
    """Gives the callback its id: extension/file/category[/name][-number]."""
    filename = filename or _caller()
    extension = extensions.find_extension(filename)
    base = f"{extension.canonical_name if extension else 'base'}/{Path(filename).name}/{category}"
    if name is not None:
        base += f"/{name}"
    unique, number = base, 0
    while any(x.name == unique for x in callbacks):
        number += 1
        unique = f"{base}-{number}"
    callbacks.append(ScriptCallback(filename, fun, unique))


def sort_callbacks(category, unordered_callbacks, *, enable_user_sort=True) -> list:
    """Registration order, changed by `[callbacks/id]` in metadata.ini, then by the user."""
    callbacks = list(unordered_callbacks)
    by_name = {x.name: x for x in callbacks}
    after: dict[str, list[str]] = {x.name: [] for x in callbacks}
    for extension in extensions.extensions:
        for order in extension.metadata.list_callback_order_instructions():
            if order.name not in by_name:
                continue
            after[order.name] += [x for x in order.after if x in by_name]
            for other in order.before:
                if other in by_name:
                    after[other].append(order.name)
    if any(after.values()):
        callbacks = [by_name[x] for x in util.topological_sort(after)]
    if enable_user_sort:
        for name in reversed(getattr(shared.opts, f"prioritized_callbacks_{category}", [])):
            index = next((i for i, x in enumerate(callbacks) if x.name == name), None)
            if index is not None:
                callbacks.insert(0, callbacks.pop(index))
    return callbacks


def ordered_callbacks(category, unordered_callbacks=None, *, enable_user_sort=True) -> list:
    if unordered_callbacks is None:
        unordered_callbacks = callback_map.get(f"callbacks_{category}", [])
    if not enable_user_sort:
        return sort_callbacks(category, unordered_callbacks, enable_user_sort=False)
    known = ordered_callbacks_map.get(category)
    if known is None or len(known) != len(unordered_callbacks):
        known = ordered_callbacks_map[category] = sort_callbacks(category, unordered_callbacks)
    return known


def enumerate_callbacks():
    for category, callbacks in callback_map.items():
        yield category.removeprefix("callbacks_"), callbacks


def clear_callbacks() -> None:
    for callbacks in callback_map.values():
        callbacks.clear()
    ordered_callbacks_map.clear()


def _call(category: str, *args, backwards: bool = False, **kwargs) -> list:
    """Calls every callback of the category; what they returned, without the failed ones."""
    results = []
    callbacks = ordered_callbacks(category)
    for c in reversed(callbacks) if backwards else callbacks:
        try:
            results.append(c.callback(*args, **kwargs))
        except Exception:
            errors.report(f"Error executing callback {category} for {c.script}", exc_info=True)
    return results


def app_started_callback(demo, app) -> None:
    _call("app_started", demo, app)


def app_reload_callback() -> None:
    _call("on_reload")


def model_loaded_callback(sd_model) -> None:
    _call("model_loaded", sd_model)


def ui_tabs_callback() -> list:
    return [tab for tabs in _call("ui_tabs") for tab in tabs or []]


def ui_train_tabs_callback(params) -> None:
    _call("ui_train_tabs", params)


def ui_settings_callback() -> None:
    _call("ui_settings")


def before_image_saved_callback(params) -> None:
    _call("before_image_saved", params)


def image_saved_callback(params) -> None:
    _call("image_saved", params)


def extra_noise_callback(params) -> None:
    _call("extra_noise", params)


def cfg_denoiser_callback(params) -> None:
    _call("cfg_denoiser", params)


def cfg_denoised_callback(params) -> None:
    _call("cfg_denoised", params)


def cfg_after_cfg_callback(params) -> None:
    _call("cfg_after_cfg", params)


def before_component_callback(component, **kwargs) -> None:
    _call("before_component", component, **kwargs)


def after_component_callback(component, **kwargs) -> None:
    _call("after_component", component, **kwargs)


def image_grid_callback(params) -> None:
    _call("image_grid", params)


def infotext_pasted_callback(infotext: str, params: dict[str, Any]) -> None:
    _call("infotext_pasted", infotext, params)


def script_unloaded_callback() -> None:
    _call("script_unloaded", backwards=True)


def before_ui_callback() -> None:
    _call("before_ui", backwards=True)


def list_optimizers_callback() -> list:
    found: list = []
    _call("list_optimizers", found)
    return found


def list_unets_callback() -> list:
    found: list = []
    _call("list_unets", found)
    return found


def before_token_counter_callback(params) -> None:
    _call("before_token_counter", params)


def _remove(unwanted: Callable[[ScriptCallback], bool]) -> None:
    for callbacks in [*callback_map.values(), *ordered_callbacks_map.values()]:
        callbacks[:] = [x for x in callbacks if not unwanted(x)]


def remove_current_script_callbacks() -> None:
    filename = _caller()
    _remove(lambda x: x.script == filename)


def remove_callbacks_for_function(callback_func: Callable) -> None:
    _remove(lambda x: x.callback == callback_func)


def _register(category: str, event: str = "") -> Callable:
    def register(callback, *, name=None) -> None:
        callbacks = callback_map[f"callbacks_{category}"]
        add_callback(callbacks, callback, name=name, category=category)

    register.__name__ = f"on_{event or category}"
    register.__doc__ = f"Registers a function to be called at `{category}`."
    return register


on_app_started = _register("app_started")
on_before_reload = _register("on_reload", "before_reload")
on_model_loaded = _register("model_loaded")
on_ui_tabs = _register("ui_tabs")
on_ui_train_tabs = _register("ui_train_tabs")
on_ui_settings = _register("ui_settings")
on_before_image_saved = _register("before_image_saved")
on_image_saved = _register("image_saved")
on_extra_noise = _register("extra_noise")
on_cfg_denoiser = _register("cfg_denoiser")
on_cfg_denoised = _register("cfg_denoised")
on_cfg_after_cfg = _register("cfg_after_cfg")
on_before_component = _register("before_component")
on_after_component = _register("after_component")
on_image_grid = _register("image_grid")
on_infotext_pasted = _register("infotext_pasted")
on_script_unloaded = _register("script_unloaded")
on_before_ui = _register("before_ui")
on_list_optimizers = _register("list_optimizers")
on_list_unets = _register("list_unets")
on_before_token_counter = _register("before_token_counter")
