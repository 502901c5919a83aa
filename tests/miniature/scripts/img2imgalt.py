"""Finds noise that leads back to the picture, and samples from it. It replaces `p.sample`."""

import gradio as gr
import torch
from modules import processing, scripts, sd_samplers, shared


def find_noise_for_image(p, cond, uncond, cfg_scale, steps):
    """Euler backwards, through the model itself: no sampler, no callbacks."""
    x = p.init_latent
    sampler = sd_samplers.create_sampler(p.sampler_name, p.sd_model)
    model = sampler.model_wrap
    sigmas = model.get_sigmas(steps).flip(0)
    shared.state.sampling_steps = steps
    for i in range(1, len(sigmas)):
        shared.state.sampling_step += 1
        both = torch.cat([x] * 2)
        sigma = sigmas[i].expand(len(both))
        image_cond = torch.cat([p.image_conditioning] * 2)
        if isinstance(cond, dict):
            text = {k: torch.cat([uncond[k], cond[k]]) for k in cond}
            conditioning = {**text, "c_concat": [image_cond]}
        else:
            text = torch.cat([uncond, cond])
            conditioning = {"c_crossattn": [text], "c_concat": [image_cond]}
        negative, positive = model(both, sigma, cond=conditioning).chunk(2)
        denoised = negative + (positive - negative) * cfg_scale
        d = (x - denoised) / sigmas[i]
        x = x + d * (sigmas[i] - sigmas[i - 1])
    return x / sigmas[-1]


class Script(scripts.Script):
    def title(self):
        return "img2img alternative test"

    def show(self, is_img2img):
        return is_img2img

    def ui(self, is_img2img):
        prompt = gr.Textbox(label="Original prompt", elem_id=self.elem_id("original_prompt"))
        negative = gr.Textbox(
            label="Original negative prompt", elem_id=self.elem_id("original_negative_prompt")
        )
        steps = gr.Slider(
            label="Decode steps",
            minimum=1,
            maximum=150,
            step=1,
            value=50,
            elem_id=self.elem_id("st"),
        )
        cfg = gr.Slider(
            label="Decode CFG scale",
            minimum=0.0,
            maximum=15.0,
            step=0.1,
            value=1.0,
            elem_id=self.elem_id("cfg"),
        )
        return [prompt, negative, steps, cfg]

    def run(self, p, original_prompt, original_negative_prompt, steps, cfg):
        p.sampler_name = "Euler"
        p.prompt, p.negative_prompt = original_prompt, original_negative_prompt
        p.steps = int(steps)
        p.denoising_strength = 1.0

        def sample_extra(
            conditioning, unconditional_conditioning, seeds, subseeds, subseed_strength, prompts
        ):
            cond = p.sd_model.get_learned_conditioning(p.batch_size * [original_prompt])
            uncond = p.sd_model.get_learned_conditioning(p.batch_size * [original_negative_prompt])
            noise = find_noise_for_image(p, cond, uncond, cfg, p.steps)
            sampler = sd_samplers.create_sampler(p.sampler_name, p.sd_model)
            sigmas = sampler.model_wrap.get_sigmas(p.steps)
            noise = noise - p.init_latent / sigmas[0]
            return sampler.sample_img2img(
                p,
                p.init_latent,
                noise,
                conditioning,
                unconditional_conditioning,
                image_conditioning=p.image_conditioning,
            )

        p.sample = sample_extra
        p.extra_generation_params["Decode prompt"] = original_prompt
        return processing.process_images(p)
