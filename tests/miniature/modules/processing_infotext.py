"""The infotext: prompt, negative prompt, and one line of `key: value` pairs."""

from __future__ import annotations

from modules import errors, sd_samplers_common, shared


def program_version() -> str:
    import launch

    return launch.git_tag()


def create_infotext(
    p,
    all_prompts,
    all_seeds,
    all_subseeds,
    comments=None,
    iteration=0,
    position_in_batch=0,
    use_main_prompt=False,
    index=None,
    all_negative_prompts=None,
) -> str:
    """A value in `p.extra_generation_params` is text, None (left out), a list with one entry for
    each picture, or a function called with everything known here by name.
    """
    opts = shared.opts
    if use_main_prompt:
        index = 0
    elif index is None:
        index = position_in_batch + iteration * p.batch_size
    if all_negative_prompts is None:
        all_negative_prompts = p.all_negative_prompts
    clip_skip = getattr(p, "clip_skip", opts.CLIP_stop_at_last_layers)
    enable_hr = getattr(p, "enable_hr", False)
    token_merging_ratio = p.get_token_merging_ratio()
    token_merging_ratio_hr = p.get_token_merging_ratio(for_hr=True)
    prompt_text = p.main_prompt if use_main_prompt else all_prompts[index]
    negative_prompt = p.main_negative_prompt if use_main_prompt else all_negative_prompts[index]
    uses_ensd = opts.eta_noise_seed_delta != 0
    if uses_ensd:
        uses_ensd = sd_samplers_common.is_sampler_using_eta_noise_seed_delta(p)
    varied = p.subseed_strength != 0
    resized = p.seed_resize_from_w > 0 and p.seed_resize_from_h > 0
    mask_weight = getattr(p, "inpainting_mask_weight", opts.inpainting_mask_weight)

    def when(condition, value):
        return value if condition else None

    generation_params = {
        "Steps": p.steps,
        "Sampler": p.sampler_name,
        "Schedule type": p.scheduler,
        "CFG scale": p.cfg_scale,
        "Image CFG scale": getattr(p, "image_cfg_scale", None),
        "Seed": p.all_seeds[0] if use_main_prompt else all_seeds[index],
        "Face restoration": when(p.restore_faces, opts.face_restoration_model),
        "Size": f"{p.width}x{p.height}",
        "Model hash": when(opts.add_model_hash_to_info, p.sd_model_hash),
        "Model": when(opts.add_model_name_to_info, p.sd_model_name),
        "VAE hash": when(opts.add_vae_hash_to_info, p.sd_vae_hash),
        "VAE": when(opts.add_vae_name_to_info, p.sd_vae_name),
        "Variation seed": when(
            varied, p.all_subseeds[0] if use_main_prompt else all_subseeds[index]
        ),
        "Variation seed strength": when(varied, p.subseed_strength),
        "Seed resize from": when(resized, f"{p.seed_resize_from_w}x{p.seed_resize_from_h}"),
        "Denoising strength": p.extra_generation_params.get("Denoising strength"),
        "Conditional mask weight": when(p.is_using_inpainting_conditioning, mask_weight),
        "Clip skip": when(clip_skip > 1, clip_skip),
        "ENSD": when(uses_ensd, opts.eta_noise_seed_delta),
        "Token merging ratio": when(token_merging_ratio != 0, token_merging_ratio),
        "Token merging ratio hr": when(
            enable_hr and token_merging_ratio_hr != 0, token_merging_ratio_hr
        ),
        "Init image hash": getattr(p, "init_img_hash", None),
        "RNG": when(opts.randn_source != "GPU", opts.randn_source),
        "Tiling": when(p.tiling, "True"),
        **p.extra_generation_params,
        "Version": when(opts.add_version_to_infotext, program_version()),
        "User": when(opts.add_user_name_to_info, p.user),
    }
    for key, value in generation_params.items():
        try:
            if isinstance(value, list):
                generation_params[key] = value[index]
            elif callable(value):
                generation_params[key] = value(**locals())
        except Exception:
            errors.report(f'Error creating infotext for key "{key}"', exc_info=True)
            generation_params[key] = None

    from modules import infotext_utils

    line = ", ".join(
        k if k == v else f"{k}: {infotext_utils.quote(v)}"
        for k, v in generation_params.items()
        if v is not None
    )
    negative = f"\nNegative prompt: {negative_prompt}" if negative_prompt else ""
    return f"{prompt_text}{negative}\n{line}".strip()
