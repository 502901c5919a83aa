"""Where Forge parts from A1111 in a generation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import torch
from backend import memory_management
from modules import sd_models, shared, sysinfo
from modules.script_base import PostprocessImageArgs as A1111Args
from modules_forge import main_thread

sampling_mode = torch.inference_mode


def run(server: Callable[[], None]) -> None:
    """The server in a thread of its own; what the page starts is worked off here."""

    def serve() -> None:
        # Gradio's queue makes its locks where it is made, and needs a loop there.
        asyncio.set_event_loop(asyncio.new_event_loop())
        server()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    main_thread.loop(thread.is_alive)


def while_working(request: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(request)
        main_thread.loop(lambda: not answer.done())
    return answer.result()


load_at_start = checkpoint_chosen = sd_models.refresh_loading_parameters


def load_chosen() -> None:
    """Forge itself waits for the next generation."""
    sd_models.refresh_loading_parameters()
    sd_models.forge_model_reload()


def apply_override_settings(p) -> None:
    wanted = p.override_settings.get("sd_model_checkpoint")
    if sd_models.checkpoint_aliases.get(wanted) is None:
        p.override_settings.pop("sd_model_checkpoint", None)
    sysinfo.set_config(p.override_settings, is_api=True, run_callbacks=False, save_config=False)
    if not getattr(p, "txt2img_upscale", False):
        _, just_loaded = sd_models.forge_model_reload()
        if just_loaded:
            p.clear_prompt_cache()


def put_settings_back(stored: dict) -> None:
    sysinfo.set_config(stored, save_config=False)


def begin_batch(p) -> None:
    sd_models.forge_model_reload()
    p.sd_model.forge_objects = p.sd_model.forge_objects_original.shallow_copy()


def begin_pass(p) -> None:
    """What scripts did to the objects for an earlier pass is gone."""
    p.sd_model.forge_objects = p.sd_model.forge_objects_after_applying_lora.shallow_copy()


extra_networks_activated = begin_pass


def announce_second_pass(p, **kwargs) -> None:
    """Twice: what the first call did to `forge_objects` is lost."""
    p.scripts.process_before_every_sampling(p=p, **kwargs)
    begin_pass(p)
    p.scripts.process_before_every_sampling(p=p, **kwargs)


@contextmanager
def unet_loaded(x: torch.Tensor):
    unet = shared.sd_model.forge_objects.unet
    rows = [x.shape[0] * 2, *x.shape[1:]]
    memory_management.load_models_gpu([unet], memory_required=unet.memory_required(rows))
    yield


def _load(name: str) -> None:
    """Another checkpoint for the rest of this generation; the setting stays."""
    before = shared.opts.sd_model_checkpoint
    if sysinfo.checkpoint_change(name):
        try:
            sd_models.refresh_loading_parameters()
            sd_models.forge_model_reload()
        finally:
            sysinfo.checkpoint_change(before)
            sd_models.refresh_loading_parameters()


def load_hires_checkpoint(p) -> None:
    if p.hr_checkpoint_name and p.hr_checkpoint_name != "Use same checkpoint":
        _load(p.hr_checkpoint_name)


def load_refiner(info) -> None:
    _load(info.short_title)
    unet = shared.sd_model.forge_objects.unet
    memory_management.load_models_gpu([unet])


class PostprocessImageArgs(A1111Args):
    def __init__(self, image, index: int) -> None:
        super().__init__(image)
        self.index = index


def postprocess_image_args(p, image, index: int):
    return PostprocessImageArgs(image, index + p.iteration * p.batch_size)


def is_hybrid(sd_model) -> bool:
    return sd_model.is_inpaint


is_inpainting = is_hybrid
