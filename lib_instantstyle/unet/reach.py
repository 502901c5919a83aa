"""Which layers of a UNet were reached by the calls in which they should have acted.

A hook that is never called is no error to anybody: the picture is made without that part of the
style. So each hook counts.

torch.compile is one cause: a graph that was compiled without hooks is used again when there are
some, and the hooks are not called (https://github.com/pytorch/pytorch/issues/117758). So styled
sampling runs without graphs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.plan import When


@dataclass
class Reach:
    """Of one layer: the UNet calls in which it should have acted, and those in which it did."""

    layer: str  # its name, for sentences
    whens: frozenset[When] = frozenset()  # the times at which it acts
    due: int = 0
    done: int = 0
    _call: int = 0  # serial number of the last one in which it did

    def expect(self, acting: Iterable[When]) -> None:
        """A UNet call begins, at a time when `acting` act."""
        self.due += not self.whens.isdisjoint(acting)

    def note(self, call: int) -> None:
        """It acts in the call of that serial number, in a part of its rows or in all."""
        self.done += call != self._call
        self._call = call


def never_reached(reaches: Iterable[Reach]) -> list[str]:
    """The names of the layers that acted in none of the calls in which they should have."""
    return list(dict.fromkeys(each.layer for each in reaches if each.due and not each.done))


def seldom_reached(reaches: Iterable[Reach]) -> list[Reach]:
    """The layers that acted in some of the calls, but not in all."""
    return [each for each in reaches if 0 < each.done < each.due]


def listed(layers: Sequence[str], most: int = 2) -> str:
    """The first `most` names, and how many more there are."""
    more = len(layers) - most
    rest = f" and {more} more layer{'s' * (more > 1)}" if more > 0 else ""
    return f"{', '.join(layers[:most])}{rest}"


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


def refuse_compiled(compiled: Callable[[], bool]) -> None:
    """Raise InstantStyleError where the UNet is compiled and `eager` can do nothing about it.

    compiled: asked before torch 2.6 only, because the answer takes a walk over all modules.
    """
    if not hasattr(torch.compiler, "set_stance") and compiled():
        raise InstantStyleError(
            "the style cannot be applied to a UNet that torch.compile has changed, because torch "
            f"{torch.__version__} skips what is added to it; switch torch.compile off, or update "
            "torch to 2.6 or later."
        )


def as_written(module: nn.Module) -> nn.Module:
    """The module that torch.compile was given, or `module` itself."""
    original: nn.Module = getattr(module, "_orig_mod", module)
    return original
