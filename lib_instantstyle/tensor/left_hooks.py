"""Handles of hooks, kept on the module itself, so that whoever comes next finds what was left."""

from __future__ import annotations

from typing import Any

from torch import nn


def begin_hooks(module: nn.Module, mark: str) -> list[Any]:
    """An empty list for the handles of hooks, after those that `mark` still names are removed."""
    remove_hooks_of(module, mark)
    handles: list[Any] = []
    setattr(module, mark, handles)
    return handles


def remove_hooks_of(module: nn.Module, mark: str) -> None:
    """Remove the hooks whose handles `module` holds as `mark`; without any nothing happens."""
    for handle in getattr(module, mark, ()):
        handle.remove()
    if hasattr(module, mark):
        delattr(module, mark)
