"""A generation inside a generation, the way ADetailer repaints faces.

In `postprocess_image` a second `p` is made and run: img2img over the finished picture, with the
script runner cut down to the scripts that the user chose and the arguments of the outer one. As
there, the first picture of a batch tells the scripts that the outer run is over, and after the
last one they are begun again on a copy of `p`, which shares its dictionaries.
"""

from copy import copy, deepcopy
from pathlib import Path

import gradio as gr
from modules import processing, scripts


class NestedPasses(scripts.Script):
    def title(self):
        return "Nested passes"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        enabled = gr.Checkbox(False, label="Nested passes", elem_id=self.elem_id("enabled"))
        names = gr.Textbox("", label="Scripts inside", elem_id=self.elem_id("names"))
        return [enabled, names]

    def postprocess_image(self, p, pp, enabled, names):
        if not enabled or getattr(p, "_ad_inner", False):
            return
        if p.batch_index == 0:
            nothing = processing.Processed(p, [], p.seed, "")
            p.scripts.postprocess(copy(p), nothing)
        inner = self.inner(p, pp.image, [x.strip() for x in names.split(",")])
        try:
            pp.image = processing.process_images(inner).images[0]
        finally:
            inner.close()
        if p.batch_index == len(p.prompts) - 1:
            again = copy(p)
            p.scripts.before_process(again)
            p.scripts.process(again)

    def inner(self, p, image, names):
        made = processing.StableDiffusionProcessingImg2Img(
            init_images=[image],
            denoising_strength=0.5,
            sd_model=p.sd_model,
            prompt=p.prompts[p.batch_index],
            negative_prompt=p.negative_prompts[p.batch_index],
            seed=p.seeds[p.batch_index],
            sampler_name=p.sampler_name,
            steps=p.steps,
            cfg_scale=p.cfg_scale,
            width=p.width,
            height=p.height,
            batch_size=1,
            n_iter=1,
            do_not_save_samples=True,
            do_not_save_grid=True,
            extra_generation_params={
                k: v for k, v in p.extra_generation_params.items() if not callable(v)
            },
            override_settings={},
        )
        made._ad_inner = True
        runner = copy(p.scripts)
        runner.alwayson_scripts = [
            x for x in p.scripts.alwayson_scripts if Path(x.filename).stem in names
        ]
        runner.callback_map = {}
        made.scripts, made.script_args = runner, deepcopy(p.script_args)
        return made
