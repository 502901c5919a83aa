"""Numbers that are finite in a file and not where they are used."""

from __future__ import annotations

import torch

from lib_instantstyle.errors import InstantStyleError

# Normalisations sum the squares of up to 2^23 numbers: of larger ones not even in 32 bits.
LARGEST = 2.0**52


def largest_of(*tensors: torch.Tensor) -> float:
    """The largest absolute value; NaN if one of the numbers is. Waits for the device once.

    0 of tensors without numbers: empty ones, and those on the meta device.
    """
    held = [tensor for tensor in tensors if tensor.numel() and not tensor.is_meta]
    ends = [end for tensor in held for end in (tensor.amax(), -tensor.amin())]
    return float(torch.stack(ends).amax()) if ends else 0.0


def check_range(largest: float, source: str, dtype: torch.dtype = torch.float32) -> None:
    """Raise InstantStyleError, naming the file `source`, for what numbers of `dtype` cannot be."""
    limit = min(LARGEST, torch.finfo(dtype).max)
    if not largest <= limit:
        raise InstantStyleError(
            f"{source or 'the file'} leads to numbers of up to {largest:.3g} where up to "
            f"{limit:.3g} are allowed ({str(dtype).removeprefix('torch.')}); choose another file."
        )
