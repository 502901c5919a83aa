"""Fills the fields of `shared` that other modules rely on."""

from __future__ import annotations

from pathlib import Path

import torch
from modules import shared
from modules.shared import cmd_opts

from tests.miniature.flavour import FORGE, flavour


class _NoMemoryMonitor:
    disabled = True

    def monitor(self) -> None: ...

    def stop(self) -> dict:
        return {}


def initialize() -> None:
    Path(shared.data_path).mkdir(parents=True, exist_ok=True)

    from modules import options, shared_options

    shared.options_templates = shared_options.options_templates
    shared.opts = options.Options(shared_options.options_templates, shared_options.restricted_opts)
    shared.restricted_opts = shared_options.restricted_opts
    shared.opts.load(shared.config_filename)

    from modules import devices

    torch.set_num_threads(cmd_opts.threads)
    if cmd_opts.precision == "half" and flavour() != FORGE:  # there it is read and does nothing
        devices.force_fp16 = True
        half = torch.float16
        devices.dtype = devices.dtype_unet = devices.dtype_inference = devices.dtype_vae = half
    shared.device = devices.device
    shared.weight_load_location = None if cmd_opts.lowram else "cpu"

    from modules import shared_state, shared_total_tqdm, styles

    shared.state = shared_state.State()
    shared.prompt_styles = styles.StyleDatabase(shared.styles_filename)
    shared.total_tqdm = shared_total_tqdm.TotalTQDM()
    shared.mem_mon = _NoMemoryMonitor()
