"""What every module shares. `sd_model` is a property: reading it loads the checkpoint."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from modules import options, shared_cmd_options, shared_items, util
from modules.paths_internal import (  # noqa: F401
    data_path,
    default_sd_model_file,
    extensions_builtin_dir,
    extensions_dir,
    models_path,
    script_path,
    sd_configs_path,
    sd_default_config,
    sd_model_file,
)

if TYPE_CHECKING:
    import torch
    from modules import shared_state, shared_total_tqdm, styles

cmd_opts = shared_cmd_options.cmd_opts
parser = shared_cmd_options.parser

batch_cond_uncond = True
parallel_processing_allowed = True
styles_filename = cmd_opts.styles_file = cmd_opts.styles_file or [
    str(Path(data_path, "styles.csv"))
]
config_filename = cmd_opts.ui_settings_file
hide_dirs = {"visible": not cmd_opts.hide_ui_dir_config}

demo: gr.Blocks | None = None
device: torch.device | None = None
weight_load_location: str | None = None
xformers_available = False
hypernetworks: dict = {}
loaded_hypernetworks: list = []

state: shared_state.State = None
prompt_styles: styles.StyleDatabase = None
interrogator: Any = None
face_restorers: list = []

options_templates: dict[str, options.OptionInfo] = None
opts: options.Options = None
restricted_opts: set[str] = None

settings_components: dict[str, Any] = None
tab_names: list[str] = []

latent_upscale_default_mode = "Latent"
latent_upscale_modes = {
    "Latent": {"mode": "bilinear", "antialias": False},
    "Latent (antialiased)": {"mode": "bilinear", "antialias": True},
    "Latent (bicubic)": {"mode": "bicubic", "antialias": False},
    "Latent (bicubic antialiased)": {"mode": "bicubic", "antialias": True},
    "Latent (nearest)": {"mode": "nearest", "antialias": False},
    "Latent (nearest-exact)": {"mode": "nearest-exact", "antialias": False},
}
sd_upscalers: list = []
clip_model = None
progress_print_out = sys.stdout
gradio_theme = gr.themes.Base()
total_tqdm: shared_total_tqdm.TotalTQDM = None
mem_mon: Any = None

options_section = options.options_section
OptionInfo = options.OptionInfo
OptionHTML = options.OptionHTML

natural_sort_key = util.natural_sort_key
listfiles = util.listfiles
html_path = util.html_path
html = util.html
walk_files = util.walk_files
ldm_print = util.ldm_print

list_checkpoint_tiles = shared_items.list_checkpoint_tiles
refresh_checkpoints = shared_items.refresh_checkpoints
list_samplers = shared_items.list_samplers


def reload_gradio_theme(theme_name: str | None = None) -> None:
    """Plain font names: nothing is fetched from elsewhere."""
    global gradio_theme
    gradio_theme = gr.themes.Default(
        font=["Source Sans Pro", "ui-sans-serif", "system-ui", "sans-serif"],
        font_mono=["IBM Plex Mono", "ui-monospace", "Consolas", "monospace"],
    )


hf_endpoint = "https://huggingface.co"

sys.modules[__name__].__class__ = shared_items.Shared
