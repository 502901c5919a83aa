"""From a request to pictures: the main loop, with every script hook at its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from modules import (
    devices,
    extra_networks,
    host,
    images,
    lowvram,
    paths,
    rng,
    scripts,
    sd_hijack,
    sd_models,
    sd_samplers,
    sd_samplers_common,
    sd_unet,
    sd_vae,
    shared,
)
from modules.processing_base import (  # noqa: F401
    DecodedSamples,
    Processed,
    StableDiffusionProcessing,
    create_random_tensors,
    decode_latent_batch,
    fix_seed,
    get_fixed_seed,
    opt_C,
    opt_f,
    txt2img_image_conditioning,
)
from modules.processing_img2img import (  # noqa: F401
    StableDiffusionProcessingImg2Img,
    create_binary_mask,
)
from modules.processing_infotext import create_infotext, program_version  # noqa: F401
from modules.processing_txt2img import (  # noqa: F401
    StableDiffusionProcessingTxt2Img,
    old_hires_fix_first_pass_dimensions,
)
from modules.sd_samplers_common import approximation_indexes, decode_first_stage  # noqa: F401
from modules.shared import state
from PIL import Image

slerp = rng.slerp
images_tensor_to_samples = sd_samplers_common.images_tensor_to_samples


def uncrop(image: Image.Image, dest_size, paste_loc) -> Image.Image:
    x, y, w, h = paste_loc
    result = Image.new("RGBA", dest_size)
    result.paste(images.resize_image(1, image, w, h), (x, y))
    return result


def apply_overlay(image, paste_loc, overlay):
    """(the picture with the original laid over it, the picture without)."""
    if overlay is None:
        return image, image.copy()
    if paste_loc is not None:
        image = uncrop(image, overlay.size, paste_loc)
    denoised = image.copy()
    image = image.convert("RGBA")
    image.alpha_composite(overlay)
    return image.convert("RGB"), denoised


def process_images(p: StableDiffusionProcessing) -> Processed:
    """One request. `override_settings` hold for its duration, where the setting had a value."""
    opts = shared.opts
    if p.scripts is not None:
        p.scripts.before_process(p)

    # a setting that was never saved is not in `data`, and is then not put back either
    stored = {k: opts.data[k] for k in p.override_settings if k in opts.data}
    try:
        host.apply_override_settings(p)
        sd_models.apply_token_merging(p.sd_model, p.get_token_merging_ratio())
        sd_samplers.fix_p_invalid_sampler_and_scheduler(p)
        return process_images_inner(p)
    finally:
        sd_models.apply_token_merging(p.sd_model, 0)
        if p.override_settings_restore_afterwards:
            host.put_settings_back(stored)


def _prepare(p: StableDiffusionProcessing) -> None:
    """Seeds, prompts, names; then the scripts' `process`."""
    assert p.prompt is not None and p.prompt != []
    devices.torch_gc()
    seed, subseed = get_fixed_seed(p.seed), get_fixed_seed(p.subseed)
    p.restore_faces = shared.opts.face_restoration if p.restore_faces is None else p.restore_faces
    p.tiling = shared.opts.tiling if p.tiling is None else p.tiling
    if p.refiner_checkpoint not in (None, "", "None", "none"):
        p.refiner_checkpoint_info = sd_models.get_closet_checkpoint_match(p.refiner_checkpoint)
        if p.refiner_checkpoint_info is None:
            raise Exception(f"Could not find checkpoint with name {p.refiner_checkpoint}")

    model = shared.sd_model
    p.sd_model_name = model.sd_checkpoint_info.name_for_extra
    p.sd_model_hash = model.sd_model_hash
    p.sd_vae_name = sd_vae.get_loaded_vae_name()
    p.sd_vae_hash = sd_vae.get_loaded_vae_hash()
    sd_hijack.model_hijack.apply_circular(p.tiling)
    sd_hijack.model_hijack.clear_comments()
    p.fill_fields_from_opts()
    p.setup_prompts()

    count = range(len(p.all_prompts))
    same_seed = p.subseed_strength != 0
    p.all_seeds = (
        seed if isinstance(seed, list) else [int(seed) + (0 if same_seed else i) for i in count]
    )
    p.all_subseeds = subseed if isinstance(subseed, list) else [int(subseed) + i for i in count]
    if p.scripts is not None:
        p.scripts.process(p)


def process_images_inner(p: StableDiffusionProcessing) -> Processed:
    _prepare(p)
    infotexts: list[str] = []
    output_images: list[Image.Image] = []
    with host.sampling_mode():
        with devices.autocast():
            p.init(p.all_prompts, p.all_seeds, p.all_subseeds)
            sd_unet.apply_unet()
        if state.job_count == -1:
            state.job_count = p.n_iter

        for n in range(p.n_iter):
            p.iteration = n
            if state.skipped:
                state.skipped = False
            if state.interrupted or state.stopping_generation:
                break
            host.begin_batch(p)
            if not _sample_batch(p, n, output_images, infotexts):
                break

        if not infotexts:
            infotexts.append(Processed(p, []).infotext(p, 0))
        p.color_corrections = None
        index_of_first_image = _make_grid(p, output_images, infotexts)

    if not p.disable_extra_networks and p.extra_network_data:
        extra_networks.deactivate(p, p.extra_network_data)
    devices.torch_gc()
    res = Processed(
        p,
        images_list=output_images,
        seed=p.all_seeds[0],
        info=infotexts[0],
        subseed=p.all_subseeds[0],
        index_of_first_image=index_of_first_image,
        infotexts=infotexts,
    )
    if p.scripts is not None:
        p.scripts.postprocess(p, res)
    return res


def _take_batch(p: StableDiffusionProcessing, n: int) -> None:
    part = slice(n * p.batch_size, (n + 1) * p.batch_size)
    p.prompts = p.all_prompts[part]
    p.negative_prompts = p.all_negative_prompts[part]
    p.seeds = p.all_seeds[part]
    p.subseeds = p.all_subseeds[part]


def _sample_batch(p, n: int, output_images: list, infotexts: list) -> bool:
    """One batch from prompts to finished pictures. False when there is nothing to make."""
    _take_batch(p, n)
    channels = getattr(shared.sd_model, "latent_channels", opt_C)
    p.rng = rng.ImageRNG(
        (channels, p.height // opt_f, p.width // opt_f),
        p.seeds,
        subseeds=p.subseeds,
        subseed_strength=p.subseed_strength,
        seed_resize_from_h=p.seed_resize_from_h,
        seed_resize_from_w=p.seed_resize_from_w,
    )
    told = {"batch_number": n}
    if p.scripts is not None:
        p.scripts.before_process_batch(
            p, **told, prompts=p.prompts, seeds=p.seeds, subseeds=p.subseeds
        )
    if len(p.prompts) == 0:
        return False
    p.parse_extra_network_prompts()
    if not p.disable_extra_networks:
        with devices.autocast():
            extra_networks.activate(p, p.extra_network_data)
    host.extra_networks_activated(p)
    if p.scripts is not None:
        p.scripts.process_batch(p, **told, prompts=p.prompts, seeds=p.seeds, subseeds=p.subseeds)
    p.setup_conds()
    hijack = sd_hijack.model_hijack
    p.extra_generation_params.update(hijack.extra_generation_params)
    if n == 0 and not shared.cmd_opts.no_prompt_history:
        text = Processed(p, []).infotext(p, 0)
        (Path(paths.data_path) / "params.txt").write_text(text, encoding="utf8")
    for comment in hijack.comments:
        p.comment(comment)
    if p.n_iter > 1:
        state.job = f"Batch {n + 1} out of {p.n_iter}"
    sd_models.apply_alpha_schedule_override(p.sd_model, p)

    with devices.autocast():
        samples = p.sample(
            conditioning=p.c,
            unconditional_conditioning=p.uc,
            seeds=p.seeds,
            subseeds=p.subseeds,
            subseed_strength=p.subseed_strength,
            prompts=p.prompts,
        )
    if p.scripts is not None:
        ps = scripts.PostSampleArgs(samples)
        p.scripts.post_sample(p, ps)
        samples = ps.samples
    if not getattr(samples, "already_decoded", False):
        devices.test_for_nans(samples, "unet")
        samples = decode_latent_batch(
            p.sd_model, samples, target_device=devices.cpu, check_for_nans=True
        )
    pixels = ((torch.stack(samples).float() + 1.0) / 2.0).clamp(0.0, 1.0)
    if lowvram.is_enabled(shared.sd_model):
        lowvram.send_everything_to_cpu()
    devices.torch_gc()
    state.nextjob()

    if p.scripts is not None:
        p.scripts.postprocess_batch(p, pixels, **told)
        part = slice(n * p.batch_size, (n + 1) * p.batch_size)
        p.prompts = p.all_prompts[part]
        p.negative_prompts = p.all_negative_prompts[part]
        pp = scripts.PostprocessBatchListArgs(list(pixels))
        p.scripts.postprocess_batch_list(p, pp, **told)
        pixels = pp.images
    for i, sample in enumerate(pixels):
        p.batch_index = i
        _finish_image(p, i, sample, output_images, infotexts)
    return True


def _finish_image(p, i: int, sample: torch.Tensor, output_images: list, infotexts: list) -> None:
    """One picture: hooks, inpainting overlay, infotext, file."""
    opts = shared.opts
    array = 255.0 * np.moveaxis(sample.cpu().numpy(), 0, 2)
    image = Image.fromarray(array.astype(np.uint8))

    def infotext() -> str:
        return create_infotext(
            p, p.prompts, p.seeds, p.subseeds, index=i, all_negative_prompts=p.negative_prompts
        )

    def save(picture: Image.Image, suffix: str = "") -> None:
        images.save_image(
            picture,
            p.outpath_samples,
            "",
            p.seeds[i],
            p.prompts[i],
            opts.samples_format,
            info=infotext(),
            p=p,
            suffix=suffix,
        )

    if p.scripts is not None:
        pp = host.postprocess_image_args(p, image, i)
        p.scripts.postprocess_image(p, pp)
        image = pp.image
    mask = getattr(p, "mask_for_overlay", None)
    overlays = getattr(p, "overlay_images", None) if opts.overlay_inpaint else None
    overlay = overlays[i] if overlays is not None and i < len(overlays) else None
    if p.scripts is not None:
        ppmo = scripts.PostProcessMaskOverlayArgs(i, mask, overlay)
        p.scripts.postprocess_maskoverlay(p, ppmo)
        mask, overlay = ppmo.mask_for_overlay, ppmo.overlay_image
    image, denoised = apply_overlay(image, p.paste_to, overlay)
    if p.scripts is not None:
        pp = host.postprocess_image_args(p, image, i)
        p.scripts.postprocess_image_after_composite(p, pp)
        image = pp.image

    saves = p.save_samples()
    if saves:
        save(image)
    text = infotext()
    infotexts.append(text)
    if opts.enable_pnginfo:
        image.info["parameters"] = text
    output_images.append(image)
    if mask is None:
        return
    if opts.save_mask and saves:
        save(mask.convert("RGB"), "-mask")
    if opts.return_mask:
        output_images.append(mask.convert("RGB"))
    if opts.return_mask_composite or opts.save_mask_composite:
        fitted = images.resize_image(2, mask, image.width, image.height).convert("L")
        empty = Image.new("RGBa", image.size)
        composite = Image.composite(denoised.convert("RGBA").convert("RGBa"), empty, fitted)
        composite = composite.convert("RGBA")
        if opts.save_mask_composite and saves:
            save(composite, "-mask-composite")
        if opts.return_mask_composite:
            output_images.append(composite)


def _make_grid(p, output_images: list, infotexts: list) -> int:
    """Puts the grid first where one is wanted. -> the index of the first single picture."""
    opts = shared.opts
    unwanted = len(output_images) < 2 and opts.grid_only_if_multiple
    if not (opts.return_grid or opts.grid_save) or p.do_not_save_grid or unwanted:
        return 0
    grid = images.image_grid(output_images, p.batch_size)
    text = create_infotext(
        p,
        p.prompts,
        p.seeds,
        p.subseeds,
        use_main_prompt=True,
        index=0,
        all_negative_prompts=p.negative_prompts,
    )
    if opts.return_grid:
        infotexts.insert(0, text)
        if opts.enable_pnginfo:
            grid.info["parameters"] = text
        output_images.insert(0, grid)
    if opts.grid_save:
        images.save_image(
            grid,
            p.outpath_grids,
            "grid",
            p.all_seeds[0],
            p.all_prompts[0],
            opts.grid_format,
            info=text,
            short_filename=not opts.grid_extended_filename,
            p=p,
            grid=True,
        )
    return 1 if opts.return_grid else 0
