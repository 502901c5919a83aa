"""The loaded checkpoint, and the chosen one, which need not be loaded.

The chosen checkpoint is examined by the header of its file.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from modules import sd_models, shared

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.tensor_info import shape_of
from lib_instantstyle.hosts import LoadedCheckpoint, current, live
from lib_instantstyle.unet.layers import UnetLayers, find_layers, layers_in_file

FORGE_MODULES = "forge_additional_modules"  # option: files of text encoders and VAEs
# OpenCLIP's and Hugging Face's names, behind a prefix of the checkpoint's own.
_TEXT_PROJECTIONS = (".text_projection", ".text_projection.weight")


def loaded_model() -> Any:
    """The WebUI's checkpoint object; Forge, which loads it with the next generation, loads it now.

    Raises InstantStyleError if there is none.
    """
    live.require("the checkpoint")  # loading one now takes it from the generation under way
    load = getattr(sd_models, "forge_model_reload", None)  # Forge waits for a generation
    model = load()[0] if load else shared.sd_model
    if model is None:
        raise InstantStyleError("no checkpoint is loaded; choose one and try again.")
    return model


def identity(model: Any) -> str:
    """A text that tells the weights of `model` from others: its files, with size and time."""
    info = getattr(model, "sd_checkpoint_info", None) or model
    checkpoint = getattr(info, "filename", "")
    if not checkpoint:
        return uuid.uuid4().hex  # nothing cached for it will be found again
    files = [checkpoint, *(shared.opts.data.get(FORGE_MODULES) or [])]
    return "; ".join(_file_identity(Path(file)) for file in files)


def checkpoint_in_memory(override: str = "") -> LoadedCheckpoint | None:
    """The chosen checkpoint if it is in memory, else None.

    override: the name in a request's override settings, which is then the chosen one. Forge loads a
    chosen checkpoint with the next generation only. `shared.sd_model` is not read, because A1111
    would load a checkpoint for it.
    """
    model = sd_models.model_data.sd_model
    info = getattr(model, "sd_checkpoint_info", None)
    return LoadedCheckpoint(model) if info and info.filename == _chosen(override).filename else None


def chosen_layers(override: str = "") -> UnetLayers:
    """The cross-attention layers of the chosen checkpoint; by its file if it is not in memory, or
    in use.

    override: see checkpoint_in_memory. Raises InstantStyleError if there is none, or it is neither
    SD1.5 nor SDXL.
    """
    loaded = checkpoint_in_memory(override)
    if loaded is not None:
        with live.queue_lock_if_free() as free:
            if free:
                return find_layers(current(loaded).unet(loaded))
    path = Path(_chosen(override).filename)
    try:
        return layers_in_file(read_tensors(path))
    except OSError as error:
        raise InstantStyleError(
            f"the checkpoint {path.name} cannot be read ({reason(error)})."
        ) from error


def chosen_name(override: str = "") -> str:
    """The name of the chosen checkpoint, as the WebUI lists it."""
    return str(_chosen(override).name)


def chosen_text_width() -> int:
    """Width of the text vectors of the chosen checkpoint, from its file; 0 if no text encoder in it
    has a projection to the space of image vectors.
    """
    try:
        tensors = read_tensors(Path(_chosen().filename))
    except (OSError, InstantStyleError):
        return 0
    widths = [shape_of(tensors, name, 2) for name in tensors if name.endswith(_TEXT_PROJECTIONS)]
    return max((shape[1] for shape in widths if shape), default=0)


def _chosen(override: str = "") -> Any:
    try:
        # As the WebUIs look it up; they pass over a name that is not there.
        info = sd_models.checkpoint_aliases.get(override) or sd_models.select_checkpoint()
    except FileNotFoundError:
        info = None
    if info is None:
        raise InstantStyleError("no checkpoint is there; put one into models/Stable-diffusion.")
    return info


def _file_identity(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return str(path)
    return f"{path} {status.st_size} {status.st_mtime_ns}"
