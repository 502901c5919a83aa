"""Folders, known before anything else is imported. Only the data folder is ever written to."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path


def normalized_filepath(filepath: str | Path) -> str:
    return str(Path(filepath).absolute())


cwd = str(Path.cwd())
modules_path = str(Path(__file__).resolve().parent)
script_path = str(Path(modules_path).parent)

_default_data = Path(tempfile.gettempdir()) / "miniature-webui"
parser_pre = argparse.ArgumentParser(add_help=False)
parser_pre.add_argument("--data-dir", type=normalized_filepath, default=str(_default_data))
parser_pre.add_argument("--models-dir", type=normalized_filepath, default=None)
cmd_opts_pre = parser_pre.parse_known_args()[0]

data_path = cmd_opts_pre.data_dir
models_path = cmd_opts_pre.models_dir or str(Path(data_path) / "models")
extensions_dir = str(Path(data_path) / "extensions")
extensions_builtin_dir = str(Path(script_path) / "extensions-builtin")
config_states_dir = str(Path(data_path) / "config_states")
default_output_dir = str(Path(data_path) / "outputs")
sd_configs_path = str(Path(script_path) / "configs")
sd_default_config = str(Path(sd_configs_path) / "v1-inference.yaml")
sd_model_file = str(Path(data_path) / "model.ckpt")
default_sd_model_file = sd_model_file
