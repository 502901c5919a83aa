"""`a|b|c` makes a picture for each choice of the parts: prompts of one batch may differ in rows."""

import math

import gradio as gr
from modules import images, processing, scripts
from modules.processing import process_images


class Script(scripts.Script):
    def title(self):
        return "Prompt matrix"

    def ui(self, is_img2img):
        with gr.Row():
            put_at_start = gr.Checkbox(
                label="Put variable parts at start of prompt",
                value=False,
                elem_id=self.elem_id("put_at_start"),
            )
            different_seeds = gr.Checkbox(
                label="Use different seed for each picture",
                value=False,
                elem_id=self.elem_id("different_seeds"),
            )
            prompt_type = gr.Radio(
                ["positive", "negative"],
                label="Select prompt",
                elem_id=self.elem_id("prompt_type"),
                value="positive",
            )
            delimiter = gr.Radio(
                ["comma", "space"],
                label="Select joining char",
                elem_id=self.elem_id("variations_delimiter"),
                value="comma",
            )
            margin_size = gr.Slider(
                label="Grid margins (px)",
                minimum=0,
                maximum=500,
                value=0,
                step=2,
                elem_id=self.elem_id("margin_size"),
            )
        return [put_at_start, different_seeds, prompt_type, delimiter, margin_size]

    def run(self, p, put_at_start, different_seeds, prompt_type, delimiter, margin_size):
        processing.fix_seed(p)
        positive = prompt_type == "positive"
        first, *parts = (p.prompt if positive else p.negative_prompt).split("|")
        join = (", " if delimiter == "comma" else " ").join
        prompts = []
        for choice in range(2 ** len(parts)):
            chosen = [x.strip().strip(",") for i, x in enumerate(parts) if choice & (1 << i)]
            prompts.append(join([*chosen, first] if put_at_start else [first, *chosen]))
        p.n_iter = math.ceil(len(prompts) / p.batch_size)
        p.do_not_save_grid = True
        setattr(p, "prompt" if positive else "negative_prompt", prompts)
        p.seed = [p.seed + (i if different_seeds else 0) for i in range(len(prompts))]
        processed = process_images(p)
        rows = 1 << (len(parts) // 2)
        processed.images.insert(0, images.image_grid(processed.images, p.batch_size, rows=rows))
        processed.index_of_first_image = 1
        processed.infotexts.insert(0, processed.infotexts[0])
        return processed
