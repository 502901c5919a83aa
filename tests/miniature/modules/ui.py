"""The page: both tabs, PNG Info, settings, and the buttons between them."""

from __future__ import annotations

import warnings

import gradio as gr
import gradio.utils
from modules import (
    gradio_extensons,  # noqa: F401  first: it changes every component
    infotext_utils,
    script_callbacks,
    scripts,
    shared,
    ui_canvas,
    ui_common,
    ui_img2img,
    ui_loadsave,
    ui_pnginfo,
    ui_settings,
    ui_toprow,
    ui_txt2img,
)
from modules.processing_scripts_symbols import random_symbol, reuse_symbol  # noqa: F401
from modules.ui_common import create_refresh_button, plaintext_to_html  # noqa: F401
from modules.ui_components import (  # noqa: F401
    FormGroup,
    FormHTML,
    FormRow,
    InputAccordion,
    ToolButton,
)
from modules.ui_gradio_extensions import reload_javascript
from modules.ui_txt2img import (  # noqa: F401
    calc_resolution_hires,
    ordered_ui_categories,
    switch_values_symbol,
)

paste_symbol = ui_toprow.paste_symbol
clear_prompt_symbol = ui_toprow.clear_prompt_symbol
restore_progress_symbol = ui_toprow.restore_progress_symbol
refresh_symbol = ui_common.refresh_symbol
save_style_symbol = "\U0001f4be"
apply_style_symbol = "\U0001f4cb"
extra_networks_symbol = "\U0001f3b4"
detect_image_size_symbol = "\U0001f4d0"

create_setting_component = ui_settings.create_setting_component

warnings.filterwarnings("ignore", category=UserWarning, module="gradio")

# Gradio asks its home for a newer version and for this machine's address; nobody else does here
gradio.utils.version_check = lambda: None
gradio.utils.get_local_ip_address = lambda: "127.0.0.1"


def gr_show(visible: bool = True) -> dict:
    return {"visible": visible, "__type__": "update"}


def create_ui() -> gr.Blocks:
    reload_javascript()
    infotext_utils.reset()
    settings = ui_settings.UiSettings()
    settings.register_settings()

    scripts.scripts_current = scripts.scripts_txt2img
    scripts.scripts_txt2img.initialize_scripts(is_img2img=False)
    with gr.Blocks(analytics_enabled=False) as txt2img_interface:
        dummy = ui_txt2img.create()
    scripts.scripts_current = scripts.scripts_img2img
    scripts.scripts_img2img.initialize_scripts(is_img2img=True)
    with gr.Blocks(analytics_enabled=False) as img2img_interface:
        ui_img2img.create()
    scripts.scripts_current = None
    with gr.Blocks(analytics_enabled=False) as pnginfo_interface:
        ui_pnginfo.create()
    loadsave = ui_loadsave.UiLoadsave(shared.cmd_opts.ui_config_file)
    saved = loadsave.ui_settings.copy()
    settings.create_ui(loadsave, dummy)

    interfaces = [
        (txt2img_interface, "txt2img", "txt2img"),
        (img2img_interface, "img2img", "img2img"),
        (pnginfo_interface, "PNG Info", "pnginfo"),
        *script_callbacks.ui_tabs_callback(),
        (settings.interface, "Settings", "settings"),
    ]
    shared.tab_names = [label for _, label, _ in interfaces]

    with gr.Blocks(
        theme=shared.gradio_theme,
        analytics_enabled=False,
        title="Stable Diffusion",
        **ui_canvas.PAGE,
    ) as demo:
        settings.add_quicksettings()
        infotext_utils.connect_paste_params_buttons()
        with gr.Tabs(elem_id="tabs"):
            for interface, label, ifid in interfaces:
                with gr.TabItem(label, id=ifid, elem_id=f"tab_{ifid}"):
                    interface.render()
                if ifid != "settings":
                    loadsave.add_block(interface, ifid)
            loadsave.setup_ui()
        gr.HTML("<div>the miniature WebUI</div>", elem_id="footer")
        settings.add_functionality(demo)
    if saved != loadsave.ui_settings:
        loadsave.dump_defaults()
    demo.ui_loadsave = loadsave
    return demo


def setup_ui_api(app) -> None:
    app.add_api_route("/internal/ping", lambda: {}, methods=["GET"])
