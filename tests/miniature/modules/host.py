"""Where A1111 and the Forge family part ways in a generation; this is A1111's way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from modules import script_base, sd_models, sd_vae, shared

sampling_mode = torch.no_grad


def run(server: Callable[[], None]) -> None:
    """The program: the server, until it is told to stop."""
    server()


def while_working(request: Callable[[], Any]) -> Any:
    """What the request answers, made from the thread that must work for it."""
    return request()


def load_at_start() -> None:
    """A1111 loads in a thread, and a setting posted meanwhile breaks it; here the start waits."""
    from modules import sd_hijack

    assert shared.sd_model is not None, "the checkpoint could not be loaded"
    if sd_hijack.current_optimizer is None:
        sd_hijack.apply_optimizations()


def checkpoint_chosen() -> None:
    """The setting has changed."""
    sd_models.reload_model_weights()


def load_chosen() -> None:
    """Makes sure that the chosen checkpoint is the loaded one, for tests that look at it."""
    sd_models.reload_model_weights()


def apply_override_settings(p) -> None:
    wanted = p.override_settings.get("sd_model_checkpoint")
    if sd_models.checkpoint_aliases.get(wanted) is None:
        p.override_settings.pop("sd_model_checkpoint", None)
        sd_models.reload_model_weights()
    for key, value in p.override_settings.items():
        shared.opts.set(key, value, is_api=True, run_callbacks=False)
        if key == "sd_model_checkpoint":
            sd_models.reload_model_weights()
        if key == "sd_vae":
            sd_vae.reload_vae_weights()


def put_settings_back(stored: dict) -> None:
    for key, value in stored.items():
        setattr(shared.opts, key, value)
        if key == "sd_vae":
            sd_vae.reload_vae_weights()


def begin_batch(p) -> None:
    """A refiner may have left another checkpoint behind."""
    sd_models.reload_model_weights()


def extra_networks_activated(p) -> None:
    """The networks that the prompt names are in place."""


def begin_pass(p) -> None:
    """The scripts are about to hear that a pass begins."""


def announce_second_pass(p, **kwargs) -> None:
    begin_pass(p)
    p.scripts.process_before_every_sampling(p=p, **kwargs)


def unet_loaded(x: torch.Tensor):
    """Around the sampling of latents `x`."""
    return nullcontext()


def load_hires_checkpoint(p) -> None:
    with sd_models.SkipWritingToConfig():
        sd_models.reload_model_weights(info=p.hr_checkpoint_info)


def load_refiner(info) -> None:
    with sd_models.SkipWritingToConfig():
        sd_models.reload_model_weights(info=info)


def postprocess_image_args(p, image, index: int):
    return script_base.PostprocessImageArgs(image)


def is_hybrid(sd_model) -> bool:
    """Whether the UNet takes a mask and a picture as further channels."""
    return sd_model.model.conditioning_key in {"hybrid", "concat"}


def is_inpainting(sd_model) -> bool:
    return is_hybrid(sd_model) or sd_model.is_sdxl_inpaint
