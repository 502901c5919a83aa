"""Linear layers as Forge puts them into a UNet in few bits: no `in_features`, packed numbers.

They say of themselves what Forge's own say (backend/operations.py at dfdcbab) and compute with the
numbers they were made from.
"""

from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from tests.unit.copies import copy_of


class FourBits(nn.Module):
    """As bitsandbytes' nf4: two numbers in a byte, the shape in the quantisation's state."""

    def __init__(self, linear):
        super().__init__()
        packed = torch.zeros(linear.weight.numel() // 2, 1, dtype=torch.uint8)
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.weight.quant_state = SimpleNamespace(shape=linear.weight.shape)
        self.bias = linear.bias
        self.kept = [linear.weight]  # in a list: no parameter of the module

    def forward(self, x):
        return F.linear(x, self.kept[0], self.bias)


class _PackedParameter(nn.Parameter):
    @property
    def shape(self):
        return self.real_shape


class Gguf(FourBits):
    """As a GGUF file's: the parameter answers with the shape of what is packed in it."""

    def __init__(self, linear):
        super().__init__(linear)
        self.weight = _PackedParameter(torch.zeros(7, dtype=torch.uint8), requires_grad=False)
        self.weight.real_shape = linear.weight.shape


def in_few_bits(unet, kind):
    """A copy of `unet` with every linear layer of class `kind`."""
    copied = copy_of(unet)
    for path, module in list(copied.named_modules()):
        if isinstance(module, nn.Linear):
            parent, _, name = path.rpartition(".")
            setattr(copied.get_submodule(parent), name, kind(module))
    return copied
