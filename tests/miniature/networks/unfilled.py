"""Networks whose weights come from a file: nothing is drawn for them before."""

from __future__ import annotations

from torch.overrides import TorchFunctionMode


class unfilled(TorchFunctionMode):
    """What is built inside has the weights that memory happened to hold.

    The meta device would do, but to draw there torch imports its compiler, which takes a second.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))
