"""Sampler, schedule and steps: a script like any other, in a section of its own."""

import gradio as gr
from modules import scripts, sd_samplers, sd_schedulers, shared
from modules.infotext_utils import PasteField
from modules.ui_components import FormRow


class ScriptSampler(scripts.ScriptBuiltinUI):
    section = "sampler"

    def __init__(self):
        self.steps = None
        self.sampler_name = None
        self.scheduler = None

    def title(self):
        return "Sampler"

    def ui(self, is_img2img):
        samplers = sd_samplers.visible_sampler_names()
        schedulers = [x.label for x in sd_schedulers.schedulers]
        tab = self.tabname
        with FormRow(elem_id=f"sampler_selection_{tab}"):
            choose = gr.Dropdown if shared.opts.samplers_in_dropdown else gr.Radio
            self.sampler_name = choose(
                label="Sampling method",
                elem_id=f"{tab}_sampling",
                choices=samplers,
                value=samplers[0],
            )
            self.scheduler = gr.Dropdown(
                label="Schedule type",
                elem_id=f"{tab}_scheduler",
                choices=schedulers,
                value=schedulers[0],
            )
            self.steps = gr.Slider(
                minimum=1,
                maximum=150,
                step=1,
                elem_id=f"{tab}_steps",
                label="Sampling steps",
                value=20,
            )
        self.infotext_fields = [
            PasteField(self.steps, "Steps", api="steps"),
            PasteField(
                self.sampler_name, sd_samplers.get_sampler_from_infotext, api="sampler_name"
            ),
            PasteField(self.scheduler, sd_samplers.get_scheduler_from_infotext, api="scheduler"),
        ]
        return self.steps, self.sampler_name, self.scheduler

    def setup(self, p, steps, sampler_name, scheduler):
        p.steps = steps
        p.sampler_name = sampler_name
        p.scheduler = scheduler
