"""What the Generate button of the txt2img tab calls, and the upscale button."""

from __future__ import annotations

import json
from contextlib import closing

import gradio as gr
from modules import infotext_utils, processing, scripts, shared, ui_tempdir
from modules.infotext_utils import create_override_settings_dict, parse_generation_parameters
from modules.shared import opts
from modules.ui_common import plaintext_to_html
from PIL import Image


def _unless(same: str, value: str) -> str | None:
    return None if value == same else value


def txt2img_create_processing(
    id_task: str,
    request: gr.Request,
    prompt: str,
    negative_prompt: str,
    prompt_styles,
    n_iter: int,
    batch_size: int,
    cfg_scale: float,
    height: int,
    width: int,
    enable_hr: bool,
    denoising_strength: float,
    hr_scale: float,
    hr_upscaler: str,
    hr_second_pass_steps: int,
    hr_resize_x: int,
    hr_resize_y: int,
    hr_checkpoint_name: str,
    hr_sampler_name: str,
    hr_scheduler: str,
    hr_prompt: str,
    hr_negative_prompt,
    override_settings_texts,
    *args,
    force_enable_hr=False,
):
    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=shared.sd_model,
        outpath_samples=opts.outdir_samples or opts.outdir_txt2img_samples,
        outpath_grids=opts.outdir_grids or opts.outdir_txt2img_grids,
        prompt=prompt,
        styles=prompt_styles,
        negative_prompt=negative_prompt,
        batch_size=batch_size,
        n_iter=n_iter,
        cfg_scale=cfg_scale,
        width=width,
        height=height,
        enable_hr=enable_hr or force_enable_hr,
        denoising_strength=denoising_strength,
        hr_scale=hr_scale,
        hr_upscaler=hr_upscaler,
        hr_second_pass_steps=hr_second_pass_steps,
        hr_resize_x=hr_resize_x,
        hr_resize_y=hr_resize_y,
        hr_checkpoint_name=_unless("Use same checkpoint", hr_checkpoint_name),
        hr_sampler_name=_unless("Use same sampler", hr_sampler_name),
        hr_scheduler=_unless("Use same scheduler", hr_scheduler),
        hr_prompt=hr_prompt,
        hr_negative_prompt=hr_negative_prompt,
        override_settings=create_override_settings_dict(override_settings_texts),
    )
    p.scripts = scripts.scripts_txt2img
    p.script_args = args
    p.user = request.username
    return p


def _run(p):
    with closing(p):
        processed = scripts.scripts_txt2img.run(p, *p.script_args)
        if processed is None:
            processed = processing.process_images(p)
    shared.total_tqdm.clear()
    return processed


def txt2img_upscale(
    id_task: str, request: gr.Request, gallery, gallery_index, generation_info, *args
):
    """The second pass of hires fix over a picture of the gallery."""
    assert len(gallery) > 0, "No image to upscale"
    assert 0 <= gallery_index < len(gallery), f"Bad image index: {gallery_index}"
    p = txt2img_create_processing(id_task, request, *args, force_enable_hr=True)
    p.batch_size = 1
    p.n_iter = 1
    p.txt2img_upscale = True
    geninfo = json.loads(generation_info)
    p.firstpass_image = infotext_utils.image_from_url_text(gallery[gallery_index])
    parameters = parse_generation_parameters(geninfo.get("infotexts")[gallery_index], [])
    p.seed = parameters.get("Seed", -1)
    p.subseed = parameters.get("Variation seed", -1)
    p.override_settings["save_images_before_highres_fix"] = False
    processed = _run(p)

    pictures: list = []
    for i, item in enumerate(gallery):
        if i == gallery_index:
            geninfo["infotexts"][i : i + 1] = processed.infotexts
            pictures.extend(processed.images)
            continue
        unchanged = Image.new(mode="RGB", size=(1, 1))
        unchanged.already_saved_as = ui_tempdir.saved_file(item)
        pictures.append(unchanged)
    geninfo["infotexts"][gallery_index] = processed.info
    comments = plaintext_to_html(processed.comments, classname="comments")
    return pictures, json.dumps(geninfo), plaintext_to_html(processed.info), comments


def txt2img(id_task: str, request: gr.Request, *args):
    processed = _run(txt2img_create_processing(id_task, request, *args))
    pictures = [] if opts.do_not_show_images else processed.images
    comments = plaintext_to_html(processed.comments, classname="comments")
    return pictures, processed.js(), plaintext_to_html(processed.info), comments
