"""Handles of hooks, kept on the module itself, so that whoever comes next finds what was left."""

from __future__ import annotations

from typing import Any

from torch import nn

_OURS = "_instantstyle_"  # every mark begins so


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


def remove_all_hooks(module: nn.Module) -> None:
    """Remove the hooks of every mark from `module`; without any nothing happens."""
    for mark in [name for name in vars(module) if name.startswith(_OURS)]:
        remove_hooks_of(module, mark)
