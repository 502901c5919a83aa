"""What to do when the device has no memory left for an encoder."""

from __future__ import annotations

from collections.abc import Callable

import torch

from lib_instantstyle.pure.errors import InstantStyleError

CPU = torch.device("cpu")
Run = Callable[[torch.device, torch.dtype], torch.Tensor]


def or_on_cpu(
    run: Run, device: torch.device, dtype: torch.dtype, what: str, notify: Callable[[str], None]
) -> torch.Tensor:
    """`run(device, dtype)`, once more on the CPU in float32 if the device has no memory left.

    what: the encoder, as a sentence calls it. notify: called with a sentence where the CPU is used.
    Raises InstantStyleError where the CPU has no memory left either.
    """
    try:
        return run(device, dtype)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
    # Out of the handler, whose traceback would keep alive what is to be let go.
    if device.type == "cpu":
        raise InstantStyleError(f"there is not enough memory for {what}.")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    notify(f"{device} has not enough memory for {what}; it ran on the CPU, which takes longer.")
    return or_on_cpu(run, CPU, torch.float32, what, notify)


def _is_out_of_memory(error: BaseException) -> bool:
    """Some devices raise a plain RuntimeError for it."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "out of memory" in str(error).lower() or "can't allocate memory" in str(error).lower()
    )
