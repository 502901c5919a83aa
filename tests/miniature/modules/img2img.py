"""What the Generate button of the img2img tab calls, and its batch of files."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import gradio as gr
import numpy as np
from modules import images, processing, scripts, shared
from modules.infotext_utils import create_override_settings_dict, parse_generation_parameters
from modules.processing import Processed, StableDiffusionProcessingImg2Img, process_images
from modules.shared import opts, state
from modules.ui_common import plaintext_to_html
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, UnidentifiedImageError

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")


def _batch_files(source) -> list[str]:
    if isinstance(source, str):
        return list(shared.walk_files(source, allowed_extensions=PICTURES))
    return [str(Path(x.name).absolute()) for x in source]


def _mask_for(image_path: Path, mask_dir: str, masks: list[str]) -> str | None:
    if len(masks) == 1:
        return masks[0]
    found = list(Path(mask_dir).glob(f"{image_path.stem}.*"))
    return str(found[0]) if found else None


def _read_png_info(image: str, img: Image.Image, folder, wanted) -> dict:
    try:
        source = images.read(str(Path(folder) / Path(image).name)) if folder else img
        parsed = parse_generation_parameters(images.read_info_from_image(source)[0])
        return {k: v for k, v in parsed.items() if k in (wanted or {})}
    except Exception:
        return {}


def process_batch(
    p,
    input,
    output_dir,
    inpaint_mask_dir,
    args,
    to_scale=False,
    scale_by=1.0,
    use_png_info=False,
    png_info_props=None,
    png_info_dir=None,
):
    """One `p` for all files: `setup` ran once, the other hooks run for each of them."""
    output_dir = output_dir.strip()
    processing.fix_seed(p)
    files = _batch_files(input)
    masks = shared.listfiles(inpaint_mask_dir) if inpaint_mask_dir else []
    state.job_count = len(files) * p.n_iter
    own = {
        name: getattr(p, name)
        for name in ("prompt", "negative_prompt", "seed", "cfg_scale", "sampler_name", "steps")
    }
    results = None
    for i, image in enumerate(files):
        state.job = f"{i + 1} out of {len(files)}"
        if state.skipped:
            state.skipped = False
        if state.interrupted or state.stopping_generation:
            break
        try:
            img = ImageOps.exif_transpose(images.read(image))
        except UnidentifiedImageError as e:
            print(e)
            continue
        if to_scale:
            p.width, p.height = int(img.width * scale_by), int(img.height * scale_by)
        p.init_images = [img] * p.batch_size
        if masks:
            mask = _mask_for(Path(image), inpaint_mask_dir, masks)
            if mask is None:
                print(f"Warning: mask is not found for {image} in {inpaint_mask_dir}.")
                continue
            p.image_mask = images.read(mask)
        if use_png_info:
            info = _read_png_info(image, img, png_info_dir, png_info_props)
            p.prompt = f"{own['prompt']} {info.get('Prompt', '')}".rstrip()
            p.negative_prompt = (
                f"{own['negative_prompt']} {info.get('Negative prompt', '')}".rstrip()
            )
            p.seed = int(info.get("Seed", own["seed"]))
            p.cfg_scale = float(info.get("CFG scale", own["cfg_scale"]))
            p.sampler_name = info.get("Sampler", own["sampler_name"])
            p.steps = int(info.get("Steps", own["steps"]))
        if output_dir:
            p.outpath_samples = output_dir
            p.override_settings["save_to_dirs"] = False
            p.override_settings["save_images_replace_action"] = "Add number suffix"
            several = p.n_iter > 1 or p.batch_size > 1
            stem = Path(image).stem
            p.override_settings["samples_filename_pattern"] = (
                f"{stem}-[generation_number]" if several else stem
            )
        done = scripts.scripts_img2img.run(p, *args)
        if done is None:
            p.override_settings.pop("save_images_replace_action", None)
            done = process_images(p)
        if results is None:
            results = done
        else:
            results.images.extend(done.images)
            results.infotexts.extend(done.infotexts)
    limit = int(opts.img2img_batch_show_results_limit)
    if results is not None and 0 <= limit < len(results.images):
        results.images = results.images[:limit]
        results.infotexts = results.infotexts[:limit]
    return results


def _sources(
    mode,
    init_img,
    sketch,
    with_mask,
    color_sketch,
    color_orig,
    base,
    base_mask,
    mask_blur,
    mask_alpha,
):
    """(picture, mask) of the chosen sub-tab."""
    if mode == 0:
        return init_img, None
    if mode == 1:
        return sketch, None
    if mode == 2:
        return with_mask["image"], processing.create_binary_mask(with_mask["mask"])
    if mode == 3:
        original = color_orig or color_sketch
        painted = np.any(np.array(color_sketch) != np.array(original), axis=-1)
        mask = Image.fromarray(painted.astype(np.uint8) * 255, "L")
        mask = ImageEnhance.Brightness(mask).enhance(1 - mask_alpha / 100)
        blur = ImageFilter.GaussianBlur(mask_blur)
        return Image.composite(color_sketch.filter(blur), original, mask.filter(blur)), mask
    if mode == 4:
        return base, base_mask
    return None, None


def img2img(
    id_task: str,
    request: gr.Request,
    mode: int,
    prompt: str,
    negative_prompt: str,
    prompt_styles,
    init_img,
    sketch,
    init_img_with_mask,
    inpaint_color_sketch,
    inpaint_color_sketch_orig,
    init_img_inpaint,
    init_mask_inpaint,
    mask_blur: int,
    mask_alpha: float,
    inpainting_fill: int,
    n_iter: int,
    batch_size: int,
    cfg_scale: float,
    image_cfg_scale: float,
    denoising_strength: float,
    selected_scale_tab: int,
    height: int,
    width: int,
    scale_by: float,
    resize_mode: int,
    inpaint_full_res: bool,
    inpaint_full_res_padding: int,
    inpainting_mask_invert: int,
    img2img_batch_input_dir: str,
    img2img_batch_output_dir: str,
    img2img_batch_inpaint_mask_dir: str,
    override_settings_texts,
    img2img_batch_use_png_info: bool,
    img2img_batch_png_info_props: list,
    img2img_batch_png_info_dir: str,
    img2img_batch_source_type: str,
    img2img_batch_upload: list,
    *args,
):
    is_batch = mode == 5
    image, mask = _sources(
        mode,
        init_img,
        sketch,
        init_img_with_mask,
        inpaint_color_sketch,
        inpaint_color_sketch_orig,
        init_img_inpaint,
        init_mask_inpaint,
        mask_blur,
        mask_alpha,
    )
    image, mask = images.fix_image(image), images.fix_image(mask)
    if selected_scale_tab == 1 and not is_batch:
        assert image, "Can't scale by because no image is selected"
        width, height = int(image.width * scale_by), int(image.height * scale_by)
    assert 0.0 <= denoising_strength <= 1.0, "can only work with strength in [0.0, 1.0]"

    p = StableDiffusionProcessingImg2Img(
        sd_model=shared.sd_model,
        outpath_samples=opts.outdir_samples or opts.outdir_img2img_samples,
        outpath_grids=opts.outdir_grids or opts.outdir_img2img_grids,
        prompt=prompt,
        negative_prompt=negative_prompt,
        styles=prompt_styles,
        batch_size=batch_size,
        n_iter=n_iter,
        cfg_scale=cfg_scale,
        width=width,
        height=height,
        init_images=[image],
        mask=mask,
        mask_blur=mask_blur,
        inpainting_fill=inpainting_fill,
        resize_mode=resize_mode,
        denoising_strength=denoising_strength,
        image_cfg_scale=image_cfg_scale,
        inpaint_full_res=inpaint_full_res,
        inpaint_full_res_padding=inpaint_full_res_padding,
        inpainting_mask_invert=inpainting_mask_invert,
        override_settings=create_override_settings_dict(override_settings_texts),
    )
    p.scripts = scripts.scripts_img2img
    p.script_args = args
    p.user = request.username
    with closing(p):
        if is_batch:
            upload = img2img_batch_source_type == "upload"
            if upload:
                assert isinstance(img2img_batch_upload, list) and img2img_batch_upload
            else:
                assert not shared.cmd_opts.hide_ui_dir_config, (
                    "Launched with --hide-ui-dir-config, batch img2img disabled"
                )
            processed = process_batch(
                p,
                img2img_batch_upload if upload else img2img_batch_input_dir,
                "" if upload else img2img_batch_output_dir,
                "" if upload else img2img_batch_inpaint_mask_dir,
                args,
                to_scale=selected_scale_tab == 1,
                scale_by=scale_by,
                use_png_info=img2img_batch_use_png_info,
                png_info_props=img2img_batch_png_info_props,
                png_info_dir=img2img_batch_png_info_dir,
            )
            if processed is None:
                processed = Processed(p, [], p.seed, "")
        else:
            processed = scripts.scripts_img2img.run(p, *args)
            if processed is None:
                processed = process_images(p)
    shared.total_tqdm.clear()
    pictures = [] if opts.do_not_show_images else processed.images
    comments = plaintext_to_html(processed.comments, classname="comments")
    return pictures, processed.js(), plaintext_to_html(processed.info), comments
