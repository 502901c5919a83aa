"""--medvram and --lowvram: forward pre-hooks that bring one module at a time to the device.

There is one device here, so a module that was left behind would run all the same. A part that is
called without having been brought fails as it would with a graphics card.
"""

from __future__ import annotations

import torch
from modules import devices, shared

module_in_gpu: torch.nn.Module | None = None
moves: list[tuple[str, str]] = []
"""What went where, for tests: on one device nothing else shows it."""

cpu = torch.device("cpu")


def _move(module: torch.nn.Module, device: torch.device, where: str) -> None:
    module.to(device)
    moves.append((type(module).__name__, where))


def send_everything_to_cpu() -> None:
    global module_in_gpu
    if module_in_gpu is not None:
        _move(module_in_gpu, cpu, "cpu")
    module_in_gpu = None


def is_needed(sd_model) -> bool:
    flags = shared.cmd_opts
    return (
        flags.lowvram or flags.medvram or (flags.medvram_sdxl and hasattr(sd_model, "conditioner"))
    )


def apply(sd_model) -> None:
    enable = is_needed(sd_model)
    shared.parallel_processing_allowed = not enable
    if enable:
        setup_for_low_vram(sd_model, not shared.cmd_opts.lowvram)
    else:
        sd_model.lowvram = False


def setup_for_low_vram(sd_model, use_medvram: bool) -> None:
    if getattr(sd_model, "lowvram", False):
        return
    sd_model.lowvram = True

    def send_me_to_gpu(module, _) -> None:
        global module_in_gpu
        if module_in_gpu is module:
            return
        if module_in_gpu is not None:
            _move(module_in_gpu, cpu, "cpu")
        _move(module, devices.device, "device")
        module_in_gpu = module

    unet = sd_model.model.diffusion_model
    vae = sd_model.first_stage_model
    parts = [sd_model.cond_stage_model, vae]
    if use_medvram:
        parts.append(unet)
    else:
        parts += [unet.time_embed, *unet.input_blocks, unet.middle_block, *unet.output_blocks]
    for part in parts:
        part.register_forward_pre_hook(send_me_to_gpu)
        _guard(part)

    def bringing(method):
        def bring_first(x):
            send_me_to_gpu(vae, None)
            return method(x)

        return bring_first

    # A VAE is not called by its forward.
    vae.encode, vae.decode = bringing(vae.encode), bringing(vae.decode)


def _guard(part: torch.nn.Module) -> None:
    """Layers of a part must not run while another part is on the device."""

    def check(module, _) -> None:
        if module_in_gpu is not part:
            raise RuntimeError(
                "Expected all tensors to be on the same device, but found at least two devices, "
                f"cuda:0 and cpu! (a {type(module).__name__} of a {type(part).__name__})"
            )

    for module in part.modules():
        if module is not part:
            module.register_forward_pre_hook(check)


def is_enabled(sd_model) -> bool:
    return getattr(sd_model, "lowvram", False)
