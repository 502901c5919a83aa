"""Folders of ControlNet's models, which IP-Adapters and image encoders live in."""

from pathlib import Path

from modules.paths_internal import models_path

controlnet_dir = str(Path(models_path) / "ControlNet")
preprocessor_dir = str(Path(models_path) / "ControlNetPreprocessor")
