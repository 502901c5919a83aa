"""The checkpoint that the WebUI has loaded, and which one it is."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from modules import sd_models, shared

from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.tensor_info import shape_of
from lib_instantstyle.hosts import LoadedCheckpoint, current
from lib_instantstyle.unet.layers import UnetLayers, find_layers, layers_in_file

FORGE_MODULES = "forge_additional_modules"  # option: text encoders and VAEs of their own


def loaded_model() -> Any:
    """The WebUI's checkpoint object, loaded now if the WebUI puts that off.

    Raises InstantStyleError if there is none.
    """
    load = getattr(sd_models, "forge_model_reload", None)  # Forge waits for a generation
    model = load()[0] if load else shared.sd_model
    if model is None:
        raise InstantStyleError("no checkpoint is loaded; choose one and try again.")
    return model


def identity(model: Any) -> str:
    """Which weights `model` has: its file, and the text encoders that Forge loads beside it."""
    info = getattr(model, "sd_checkpoint_info", None) or model
    checkpoint = getattr(info, "filename", "")
    if not checkpoint:
        return uuid.uuid4().hex  # what is kept for it will not be found again
    files = [checkpoint, *(shared.opts.data.get(FORGE_MODULES) or [])]
    return "; ".join(_file_identity(Path(file)) for file in files)


def _file_identity(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return str(path)
    return f"{path} {status.st_size} {status.st_mtime_ns}"


# The chosen checkpoint, looked at without a generation and without loading it.

# OpenCLIP's and Hugging Face's name, at the end of whatever a checkpoint puts before it.
_TEXT_PROJECTIONS = (".text_projection", ".text_projection.weight")


def checkpoint_in_memory(override: str = "") -> LoadedCheckpoint | None:
    """The chosen checkpoint if it is the one in memory.

    override: the name of another one, where a request has one for its own pictures.

    Forge loads what was chosen with the next picture only. `shared.sd_model` is no way to ask:
    A1111 would load a checkpoint to answer.
    """
    model = sd_models.model_data.sd_model
    info = getattr(model, "sd_checkpoint_info", None)
    return LoadedCheckpoint(model) if info and info.filename == _chosen(override).filename else None


def chosen_layers(override: str = "") -> UnetLayers:
    """The cross-attention layers of the chosen checkpoint, by its file if it is not in memory.

    Raises InstantStyleError where there is none, or it is of another family.
    """
    loaded = checkpoint_in_memory(override)
    if loaded is not None:
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


def _chosen(override: str = "") -> Any:
    try:
        # As the WebUIs look it up; they pass over a name that is not there.
        info = sd_models.checkpoint_aliases.get(override) or sd_models.select_checkpoint()
    except FileNotFoundError:
        info = None
    if info is None:
        raise InstantStyleError("no checkpoint is there; put one into models/Stable-diffusion.")
    return info


def chosen_text_width() -> int:
    """Numbers in the vectors of the chosen checkpoint's text encoder, by its file; 0 if it has no
    encoder whose vectors lie in the space of pictures.
    """
    try:
        tensors = read_tensors(Path(_chosen().filename))
    except (OSError, InstantStyleError):
        return 0
    widths = [shape_of(tensors, name, 2) for name in tensors if name.endswith(_TEXT_PROJECTIONS)]
    return max((shape[1] for shape in widths if shape), default=0)
