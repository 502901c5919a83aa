"""The checkpoint that the WebUI has loaded, and which one it is."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from modules import sd_models, shared

from lib_instantstyle.pure.errors import InstantStyleError

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
