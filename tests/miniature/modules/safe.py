"""`torch.load` refuses code: a bad file is reported and the answer is None, never an exception."""

from __future__ import annotations

import torch
from modules import errors

unsafe_torch_load = torch.load
global_extra_handler = None


def load(filename, *args, **kwargs):
    return load_with_extra(filename, *args, extra_handler=global_extra_handler, **kwargs)


def load_with_extra(filename, extra_handler=None, *args, **kwargs):
    from modules import shared

    if shared.cmd_opts.disable_safe_unpickle:
        return unsafe_torch_load(filename, *args, **{"weights_only": False, **kwargs})
    try:
        # A1111 has its own restricted unpickler; torch's does the same job since 2.0
        return unsafe_torch_load(filename, *args, **{**kwargs, "weights_only": True})
    except Exception:
        errors.report(
            f"Error verifying pickled file from {filename}\n"
            "The file may be malicious, so the program is not going to read it.\n"
            "You can skip this check with --disable-safe-unpickle commandline argument.",
            exc_info=True,
        )
        return None


torch.load = load
