"""Lists model files and the upscalers. Downloads are refused: tests must not need a network."""

from __future__ import annotations

from pathlib import Path

from modules import shared
from modules.upscaler import UpscalerLanczos, UpscalerNearest, UpscalerNone


def load_file_from_url(
    url: str,
    *,
    model_dir: str,
    progress: bool = True,
    file_name: str | None = None,
    hash_prefix: str | None = None,
) -> str:
    """The file if it is there already; the miniature downloads nothing."""
    name = file_name or url.rsplit("/", 1)[-1]
    path = Path(model_dir).absolute() / name
    if not path.exists():
        raise OSError(f"the miniature WebUI downloads nothing, asked for: {url}")
    return str(path)


def load_models(
    model_path: str,
    model_url: str | None = None,
    command_path: str | None = None,
    ext_filter=None,
    download_name: str | None = None,
    ext_blacklist=None,
    hash_prefix=None,
) -> list[str]:
    """Files below the folders; every exception is swallowed, as in A1111."""
    found: list[str] = []
    try:
        for folder in dict.fromkeys(x for x in (command_path, model_path) if x):
            for file in shared.walk_files(folder, allowed_extensions=ext_filter):
                if ext_blacklist and any(file.endswith(x) for x in ext_blacklist):
                    continue
                if file not in found:
                    found.append(file)
    except Exception:
        return found
    return found


def friendly_name(file: str) -> str:
    return Path(file).stem


def load_upscalers() -> None:
    scalers = [UpscalerNone(), UpscalerLanczos(), UpscalerNearest()]
    shared.sd_upscalers = [data for scaler in scalers for data in scaler.scalers]
