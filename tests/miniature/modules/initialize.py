"""The start, in A1111's order, and again for Reload UI."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from modules.timer import startup_timer


def imports() -> None:
    """First the settings; modules that read them at import come after."""
    from modules import shared_init

    shared_init.initialize()
    from modules import processing, ui  # noqa: F401


def ensure_models() -> None:
    """Tiny random models, where the data folder has none."""
    from modules import paths, shared

    if shared.cmd_opts.ckpt_dir or Path(shared.cmd_opts.ckpt).exists():
        return
    if any((Path(paths.models_path) / "Stable-diffusion").glob("**/*.safetensors")):
        return
    from tests.miniature.tiny import make_family

    print(f"Making tiny random models in {paths.models_path}")
    make_family(Path(paths.models_path).parent)


def initialize() -> None:
    ensure_models()
    from modules import host, shared
    from modules.call_queue import wrap_queued_call

    def redo_hijack() -> None:
        from modules import sd_hijack

        sd_hijack.model_hijack.redo_hijack(shared.sd_model)

    shared.reload_gradio_theme()
    shared.opts.onchange(
        "sd_model_checkpoint", wrap_queued_call(host.checkpoint_chosen), call=False
    )
    shared.opts.onchange("cross_attention_optimization", wrap_queued_call(redo_hijack), call=False)
    initialize_rest(reload_script_modules=False)


def initialize_rest(*, reload_script_modules: bool = False) -> None:
    """What Reload UI does again. Modules of the WebUI and of extensions stay imported."""
    from modules import (
        extensions,
        extra_networks,
        host,
        modelloader,
        script_callbacks,
        scripts,
        sd_hijack,
        sd_hijack_optimizations,
        sd_models,
        sd_samplers,
        sd_unet,
        sd_vae,
        shared,
        ui_extra_networks,
    )

    sd_samplers.set_samplers()
    extensions.list_extensions()
    startup_timer.record("list extensions")
    sd_models.list_models()
    with startup_timer.subcategory("load scripts"):
        scripts.load_scripts()
    if reload_script_modules and getattr(shared.opts, "enable_reloading_ui_scripts", False):
        for module in [m for n, m in sys.modules.items() if n.startswith("modules.ui")]:
            importlib.reload(module)
    modelloader.load_upscalers()
    sd_vae.refresh_vae_list()
    script_callbacks.on_list_optimizers(sd_hijack_optimizations.list_optimizers)
    sd_hijack.list_optimizers()
    sd_unet.list_unets()
    if not shared.cmd_opts.skip_load_model_at_start:
        host.load_at_start()
    ui_extra_networks.initialize()
    ui_extra_networks.register_default_pages()
    extra_networks.initialize()
    extra_networks.register_default_extra_networks()
    startup_timer.record("initialize extra networks")
