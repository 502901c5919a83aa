"""Counting what PyTorch does: operations, multiplications and what they write."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

VIEWS = ("view", "transpose", "slice", "unsafe_view", "expand", "permute", "alias", "detach", "t",
         "select", "split", "unsqueeze", "squeeze", "unflatten")  # fmt: skip


def _attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    """PyTorch counts the attention of GPUs only."""
    flops: int = sdpa_flop_count(query, key, value)
    return flops


# Before torch 2.2 the attention on a CPU has the name of that on a GPU, and is counted.
_NAME = "_scaled_dot_product_flash_attention_for_cpu"
ON_CPU = {getattr(torch.ops.aten, _NAME): _attention} if hasattr(torch.ops.aten, _NAME) else {}


class Operations(TorchDispatchMode):
    """Counts every operation that reaches a kernel or makes a view, and the bytes of its result."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func._schema.name.removeprefix("aten::").lstrip("_")
        self.seen["attention" if name.startswith("scaled_dot_product") else name] += 1
        result = func(*args, **(kwargs or {}))
        if name not in VIEWS:
            self.bytes += sum(
                leaf.numel() * leaf.element_size()
                for leaf in tree_flatten(result)[0]
                if isinstance(leaf, torch.Tensor)
            )
        return result

    @property
    def kernels(self) -> int:
        """Operations that compute something."""
        return sum(count for name, count in self.seen.items() if name not in VIEWS)


def counted(run: Any) -> dict[str, int]:
    """What a call of `run` that is not the first costs: kernels, operations, bytes written."""
    with torch.no_grad():
        run()
        with Operations() as operations:
            run()
    return {
        "kernels": operations.kernels,
        "floating-point operations": flops(run),
        "bytes written": operations.bytes,
    }


def flops(run: Any) -> int:
    """Floating-point operations of a call of `run`."""
    with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=ON_CPU) as counter:
        run()
    total: int = counter.get_total_flops()
    return total
