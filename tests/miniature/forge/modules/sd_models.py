"""Checkpoints as Forge handles them: chosen at once, loaded when the next generation begins."""

from __future__ import annotations

import gc

import torch
from backend import memory_management
from backend.diffusion_engine import forge_loader
from modules import script_callbacks, shared

from tests.miniature.modules.sd_models import *  # noqa: F403  the list of files is the same
from tests.miniature.modules.sd_models import checkpoints_list, select_checkpoint


class FakeInitialModel:
    """What `shared.sd_model` is before the first generation."""

    cond_stage_model = None
    chunk_length = 75


class SdModelData:
    def __init__(self) -> None:
        self.sd_model = FakeInitialModel()
        self.forge_loading_parameters: dict = {}
        self.forge_hash = ""

    def get_sd_model(self):
        return self.sd_model

    def set_sd_model(self, v) -> None:
        self.sd_model = v


model_data = SdModelData()


def checkpoint_tiles(use_short: bool = False) -> list[str]:
    return [x.short_title if use_short else x.name for x in checkpoints_list.values()]


def refresh_loading_parameters() -> None:
    """In Forge main_entry.refresh_model_loading_parameters."""
    model_data.forge_loading_parameters = {"checkpoint_info": select_checkpoint()}


def reload_model_weights(sd_model=None, info=None, forced_reload: bool = False) -> None:
    """Does nothing: see forge_model_reload."""


def apply_token_merging(sd_model, token_merging_ratio: float) -> None:
    pass


def apply_alpha_schedule_override(sd_model, p=None) -> None:
    pass


@torch.inference_mode()
def forge_model_reload():
    """Loads the chosen checkpoint if another one is loaded. -> (model, whether it is new)."""
    info = model_data.forge_loading_parameters["checkpoint_info"]
    wanted = info.filename
    if model_data.forge_hash == wanted:
        return model_data.sd_model, False
    model_data.sd_model = None
    memory_management.unload_all_models()
    gc.collect()  # as Forge does: what a checkpoint is made of refers to itself
    model = forge_loader(info.filename)
    model.sd_checkpoint_info = info
    model.filename = info.filename
    model.sd_model_hash = info.calculate_shorthash()
    shared.opts.data["sd_checkpoint_hash"] = info.sha256
    model_data.set_sd_model(model)
    script_callbacks.model_loaded_callback(model)
    model_data.forge_hash = wanted
    return model, True
