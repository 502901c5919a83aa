"""Devices and number types. The miniature runs on the processor."""

from __future__ import annotations

import contextlib

import torch
from modules import shared

cpu: torch.device = torch.device("cpu")
fp8: bool = False
force_fp16: bool = False
device: torch.device = cpu
device_interrogate: torch.device = cpu
device_gfpgan: torch.device = cpu
device_esrgan: torch.device = cpu
device_codeformer: torch.device = cpu
dtype: torch.dtype = torch.float32
dtype_vae: torch.dtype = torch.float32
dtype_unet: torch.dtype = torch.float32
dtype_inference: torch.dtype = torch.float32
unet_needs_upcast = False
nv_rng = None


def has_mps() -> bool:
    return False


def has_xpu() -> bool:
    return False


def get_cuda_device_string() -> str:
    return "cuda"


def get_optimal_device_name() -> str:
    return "cpu"


def get_optimal_device() -> torch.device:
    return torch.device(get_optimal_device_name())


def get_device_for(task: str) -> torch.device:
    if task in shared.cmd_opts.use_cpu or "all" in shared.cmd_opts.use_cpu:
        return cpu
    return get_optimal_device()


def torch_gc() -> None:
    pass


def cond_cast_unet(input: torch.Tensor) -> torch.Tensor:
    if force_fp16:
        return input.to(torch.float16)
    return input.to(dtype_unet) if unet_needs_upcast else input


def cond_cast_float(input: torch.Tensor) -> torch.Tensor:
    return input.float() if unet_needs_upcast else input


def autocast(disable: bool = False):
    """Nothing is cast: on the processor A1111 runs in float32, or in half from end to end."""
    return contextlib.nullcontext()


def without_autocast(disable: bool = False):
    return contextlib.nullcontext()


class NansException(Exception):
    pass


def test_for_nans(x: torch.Tensor, where: str) -> None:
    """Looks at one value only, as A1111 does."""
    if not torch.isnan(x[(0,) * len(x.shape)]):
        return
    name = {"unet": " in Unet", "vae": " in VAE"}.get(where, "")
    raise NansException(
        f"A tensor with NaNs was produced{name}. Use --disable-nan-check commandline argument"
        " to disable this check."
    )


def first_time_calculation() -> None:
    pass


def randn(seed, shape, generator=None):
    raise RuntimeError("modules.rng has not been imported yet")
