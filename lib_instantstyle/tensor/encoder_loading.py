"""Filling a CLIP encoder from its file with one copy of the weights in memory at most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from lib_instantstyle.tensor.files import TensorReader, fill, open_tensors

Weights = Iterator[tuple[str, torch.Tensor]]
Encoder = TypeVar("Encoder", bound=nn.Module)
MakeRoom = Callable[[int], None]
"""Called with a number of bytes before so much is put on the device."""


def take_room(size: int) -> None:
    """What `MakeRoom` does where nobody else manages the device's memory: nothing."""


def load_encoder(
    path: Path,
    encoder: Encoder,
    weights: Callable[[TensorReader, int | None], Weights],
    device: torch.device,
    dtype: torch.dtype,
    make_room: MakeRoom = take_room,
) -> Encoder:
    """Fill `encoder`, built on the meta device with its transformer in `blocks`, from `path`.

    weights(read, block): pairs (name in the encoder, tensor as stored) of one block, or, for None,
    of all that is in none. Raises InstantStyleError if a tensor is missing, misshapen or not
    finite.
    """
    numbers = sum(parameter.numel() for parameter in encoder.parameters())
    make_room(numbers * torch.empty((), dtype=dtype).element_size())
    tensors: dict[str, torch.Tensor] = {}
    blocks = encoder.get_submodule("blocks")
    assert isinstance(blocks, nn.ModuleList)
    # Weights that were made in inference mode and moved outside of it cannot be used inside again;
    # a WebUI that moves models about may do either.
    with torch.inference_mode(False), torch.no_grad(), open_tensors(path) as read:
        for block in (None, *range(len(blocks))):
            for name, tensor in weights(read, block):
                tensors[name] = tensor.to(device=device, dtype=dtype)
    fill(encoder, tensors, path.name)
    return encoder.eval()


def norm(read: TensorReader, ours: str, theirs: str) -> Weights:
    """Weight and bias of a LayerNorm."""
    for end in ("weight", "bias"):
        yield f"{ours}.{end}", read(f"{theirs}.{end}")
