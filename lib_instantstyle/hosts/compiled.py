"""UNets compiled by torch.compile, beside hooks.

A graph that was compiled without hooks is used again when there are some, and the hooks are not
called (https://github.com/pytorch/pytorch/issues/117758). So styled sampling runs without graphs.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError


def eager() -> AbstractContextManager[Any]:
    """A context in which compiled modules run as they were written; their graphs are kept.

    It does nothing before torch 2.6, or where nothing was compiled: to ask torch for it would load
    its compiler, which takes seconds.
    """
    set_stance: Any = getattr(torch.compiler, "set_stance", None)
    if set_stance is None or "torch._dynamo" not in sys.modules:
        return nullcontext()
    context: AbstractContextManager[Any] = set_stance("force_eager")
    return context


def is_compiled(module: nn.Module) -> bool:
    """Whether torch.compile has changed `module` or a part of it."""
    return any(
        getattr(part, "_compiled_call_impl", None) is not None
        or hasattr(part, "_orig_mod")
        or hasattr(part.forward, "_torchdynamo_orig_callable")
        for part in module.modules()
    )


def refuse_compiled(compiled: bool) -> None:
    """Raise InstantStyleError where the UNet is compiled and `eager` can do nothing about it."""
    if compiled and not hasattr(torch.compiler, "set_stance"):
        raise InstantStyleError(
            "the style cannot be applied to a UNet that torch.compile has changed, because torch "
            f"{torch.__version__} skips what is added to it; switch torch.compile off, or update "
            "torch to 2.6 or later."
        )


def as_written(module: nn.Module) -> nn.Module:
    """The module that torch.compile was given, or `module` itself."""
    original: nn.Module = getattr(module, "_orig_mod", module)
    return original
