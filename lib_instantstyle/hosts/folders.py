"""The folders in which users of the WebUI keep IP-Adapters, CLIP encoders and LoRAs, and ours."""

from __future__ import annotations

from pathlib import Path

from modules import paths_internal, shared

from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.hosts.settings import REFERENCES_MB, bytes_to_keep

OWN = "InstantStyle"


def own_folder() -> Path:
    """The only folder that is ever written to."""
    return Path(paths_internal.models_path) / OWN


def reference_folder() -> BoundedFolder | None:
    """The folder for reference pictures; None if the user has switched it off."""
    capacity = bytes_to_keep(REFERENCES_MB)
    return BoundedFolder(own_folder() / "references", ".picture", capacity) if capacity else None


def model_folders() -> list[Path]:
    """The folders of the command line and settings, ours, then those of other tools; read only."""
    models = Path(paths_internal.models_path)
    controlnet = Path(paths_internal.extensions_dir) / "sd-webui-controlnet"
    given = [
        getattr(shared.cmd_opts, "instantstyle_models_dir", None),
        getattr(shared.cmd_opts, "controlnet_dir", None),
        shared.opts.data.get("control_net_models_path"),
        *_beside(_listed("controlnet_dirs")),
        *_listed("text_encoder_dirs"),
    ]
    return [
        *dict.fromkeys(Path(folder) for folder in given if folder),
        own_folder(),
        models / "ControlNet",
        models / "ipadapter",
        models / "clip_vision",
        models / "ControlNetPreprocessor",
        models / "text_encoder",
        controlnet / "models",
        controlnet / "annotator" / "downloads" / "clip_vision",
    ]


def lora_folders() -> list[Path]:
    """The folders in which the WebUI looks for LoRAs; read only."""
    given = [
        getattr(shared.cmd_opts, "lora_dir", None),
        *_listed("lora_dirs"),
        getattr(shared.cmd_opts, "lyco_dir_backcompat", None),
        Path(paths_internal.models_path) / "Lora",
    ]
    return list(dict.fromkeys(Path(folder) for folder in given if folder))


def _listed(flag: str) -> list[Path]:
    """The folders of a flag that may be given several times, as Forge Neo has them."""
    given = getattr(shared.cmd_opts, flag, None)
    folders = [given] if isinstance(given, (str, Path)) else list(given or ())
    return [Path(folder) for folder in folders if folder]


def _beside(folders: list[Path]) -> list[Path]:
    """Folders of control models, and ComfyUI's for adapters and image encoders beside each."""
    return [
        each
        for folder in folders
        for each in (folder, folder.parent / "ipadapter", folder.parent / "clip_vision")
    ]
