"""The seed, and variations of it."""

import json

import gradio as gr
from modules import errors, infotext_utils, scripts
from modules.infotext_utils import PasteField
from modules.processing_scripts_symbols import random_symbol, reuse_symbol
from modules.shared import cmd_opts
from modules.ui_components import ToolButton


class ScriptSeed(scripts.ScriptBuiltinUI):
    section = "seed"
    create_group = False

    def __init__(self):
        self.seed = None

    def title(self):
        return "Seed"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        with gr.Row(elem_id=self.elem_id("seed_row")):
            if cmd_opts.use_textbox_seed:
                self.seed = gr.Textbox(
                    label="Seed", value="", elem_id=self.elem_id("seed"), min_width=100
                )
            else:
                self.seed = gr.Number(
                    label="Seed",
                    value=-1,
                    elem_id=self.elem_id("seed"),
                    min_width=100,
                    precision=0,
                )
            randomize = ToolButton(
                random_symbol,
                elem_id=self.elem_id("random_seed"),
                tooltip="Set seed to -1, a new random number every time",
            )
            reuse = ToolButton(
                reuse_symbol,
                elem_id=self.elem_id("reuse_seed"),
                tooltip="Reuse seed from last generation",
            )
            extra = gr.Checkbox(label="Extra", elem_id=self.elem_id("subseed_show"), value=False)
        with gr.Group(visible=False, elem_id=self.elem_id("seed_extras")) as seed_extras:
            with gr.Row(elem_id=self.elem_id("subseed_row")):
                subseed = gr.Number(
                    label="Variation seed", value=-1, elem_id=self.elem_id("subseed"), precision=0
                )
                strength = gr.Slider(
                    label="Variation strength",
                    value=0.0,
                    minimum=0,
                    maximum=1,
                    step=0.01,
                    elem_id=self.elem_id("subseed_strength"),
                )
            with gr.Row(elem_id=self.elem_id("seed_resize_from_row")):
                resize_w, resize_h = (
                    gr.Slider(
                        minimum=0,
                        maximum=2048,
                        step=8,
                        label=f"Resize seed from {name}",
                        value=0,
                        elem_id=self.elem_id(f"seed_resize_from_{name[0]}"),
                    )
                    for name in ("width", "height")
                )
        seed_id = self.elem_id("seed")
        randomize.click(
            fn=None,
            _js=f"function(){{setRandomSeed('{seed_id}')}}",
            show_progress=False,
            inputs=[],
            outputs=[],
        )
        extra.change(
            lambda x: gr.update(visible=x),
            show_progress=False,
            inputs=[extra],
            outputs=[seed_extras],
        )
        self.infotext_fields = [
            PasteField(self.seed, "Seed", api="seed"),
            PasteField(extra, lambda d: "Variation seed" in d or "Seed resize from-1" in d),
            PasteField(subseed, "Variation seed", api="subseed"),
            PasteField(strength, "Variation seed strength", api="subseed_strength"),
            PasteField(resize_w, "Seed resize from-1", api="seed_resize_from_h"),
            PasteField(resize_h, "Seed resize from-2", api="seed_resize_from_w"),
        ]
        self.on_after_component(
            lambda x: connect_reuse_seed(self.seed, reuse, x.component, False),
            elem_id=f"generation_info_{self.tabname}",
        )
        return self.seed, extra, subseed, strength, resize_w, resize_h

    def setup(
        self,
        p,
        seed,
        seed_checkbox,
        subseed,
        subseed_strength,
        seed_resize_from_w,
        seed_resize_from_h,
    ):
        p.seed = seed
        if seed_checkbox and subseed_strength > 0:
            p.subseed = subseed
            p.subseed_strength = subseed_strength
        if seed_checkbox and seed_resize_from_w > 0 and seed_resize_from_h > 0:
            p.seed_resize_from_w = seed_resize_from_w
            p.seed_resize_from_h = seed_resize_from_h


def connect_reuse_seed(seed, reuse_seed, generation_info, is_subseed):
    def copy_seed(info: str, index: int):
        try:
            text = json.loads(info)["infotexts"][index]
            params = infotext_utils.parse_generation_parameters(text, [])
            found = int(params.get("Variation seed" if is_subseed else "Seed", -1))
        except Exception:
            if info:
                errors.report("Error retrieving seed from generation info", exc_info=True)
            found = -1
        return [found, gr.update()]

    reuse_seed.click(
        fn=copy_seed,
        _js="(x, y) => [x, selected_gallery_index()]",
        show_progress=False,
        inputs=[generation_info, seed],
        outputs=[seed, seed],
    )
