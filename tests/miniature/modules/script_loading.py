"""Runs a script file. The module is named after the file and stays out of `sys.modules`."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from types import ModuleType

from modules import errors

loaded_scripts: dict[str, ModuleType] = {}


def load_module(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded_scripts[path] = module
    return module


def split_name(spec: str) -> tuple[str, str]:
    """`name=path` or `path` -> (name, absolute path); the name defaults to the folder's."""
    name, equals, path = spec.partition("=")
    folder = Path(path if equals else spec).resolve()
    return (name if equals else folder.name), str(folder)


def preload_extension(folder: str | Path, parser: argparse.ArgumentParser) -> None:
    file = Path(folder) / "preload.py"
    if not file.is_file():
        return
    try:
        module = load_module(str(file))
        if hasattr(module, "preload"):
            module.preload(parser)
    except Exception:
        errors.report(f"Error running preload() for {file}", exc_info=True)


def preload_extensions(
    extensions_dir: str, parser: argparse.ArgumentParser, extension_list: list[str] | None = None
) -> None:
    root = Path(extensions_dir)
    if not root.is_dir():
        return
    names = extension_list if extension_list is not None else [x.name for x in root.iterdir()]
    for name in sorted(names):
        preload_extension(root / name, parser)
