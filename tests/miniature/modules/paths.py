"""Folders plus the restricted `torch.load`, which A1111 switches on by importing this module."""

from __future__ import annotations

import modules.safe  # noqa: F401
from modules.paths_internal import (  # noqa: F401
    cwd,
    data_path,
    extensions_builtin_dir,
    extensions_dir,
    models_path,
    script_path,
)
