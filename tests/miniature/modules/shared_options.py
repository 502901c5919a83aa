"""The settings of the miniature: those of A1111 that change what is computed, saved or shown."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from modules import shared, shared_items, ui_components
from modules.options import OptionInfo, categories, options_section
from modules.paths_internal import data_path, default_output_dir

restricted_opts = {
    "samples_filename_pattern",
    "directories_filename_pattern",
    "outdir_samples",
    "outdir_txt2img_samples",
    "outdir_img2img_samples",
    "outdir_grids",
    "outdir_txt2img_grids",
    "outdir_img2img_grids",
    "outdir_save",
    "outdir_init_images",
    "temp_dir",
}

for _id, _label in {
    "saving": "Saving images",
    "sd": "Stable Diffusion",
    "ui": "User Interface",
    "system": "System",
    "postprocessing": "Postprocessing",
    "training": "Training",
}.items():
    categories.register_category(_id, _label)

O = OptionInfo  # noqa: E741
hide_dirs = shared.hide_dirs
options_templates: dict[str, OptionInfo] = {}


def _slider(low: float, high: float, step: float) -> dict:
    return {"minimum": low, "maximum": high, "step": step}


def _out(name: str) -> str:
    return str(Path(default_output_dir) / name)


options_templates.update(
    options_section(
        ("saving-images", "Saving images/grids", "saving"),
        {
            "samples_save": O(True, "Always save all generated images"),
            "samples_format": O("png", "File format for images"),
            "samples_filename_pattern": O("", "Images filename pattern", component_args=hide_dirs),
            "save_images_add_number": O(True, "Add number to filename when saving"),
            "save_images_replace_action": O(
                "Replace",
                "Saving the image to an existing file",
                gr.Radio,
                {"choices": ["Replace", "Add number suffix"]},
            ),
            "grid_save": O(True, "Always save all generated image grids"),
            "grid_format": O("png", "File format for grids"),
            "grid_only_if_multiple": O(True, "Do not save grids consisting of one picture"),
            "grid_extended_filename": O(False, "Add extended info to filename when saving grid"),
            "n_rows": O(-1, "Grid row count", gr.Slider, _slider(-1, 16, 1)),
            "save_images_before_highres_fix": O(False, "Save a copy of image before highres fix"),
            "save_images_before_face_restoration": O(False, "Save before face restoration"),
            "save_images_before_color_correction": O(False, "Save before color correction"),
            "save_mask": O(False, "For inpainting, save a copy of the greyscale mask"),
            "save_mask_composite": O(False, "For inpainting, save a masked composite"),
            "jpeg_quality": O(80, "Quality for saved jpeg images", gr.Slider, _slider(1, 100, 1)),
            "webp_lossless": O(False, "Use lossless compression for webp images"),
            "img_max_size_mp": O(200, "Maximum image size", gr.Number),
            "save_init_img": O(False, "Save init images when using img2img"),
            "temp_dir": O("", "Directory for temporary images; leave empty for default"),
            "save_incomplete_images": O(False, "Save incomplete images"),
        },
    )
)

options_templates.update(
    options_section(
        ("saving-paths", "Paths for saving", "saving"),
        {
            "outdir_samples": O("", "Output directory for images", component_args=hide_dirs),
            "outdir_txt2img_samples": O(
                _out("txt2img-images"), "txt2img", component_args=hide_dirs
            ),
            "outdir_img2img_samples": O(
                _out("img2img-images"), "img2img", component_args=hide_dirs
            ),
            "outdir_extras_samples": O(_out("extras-images"), "extras", component_args=hide_dirs),
            "outdir_grids": O("", "Output directory for grids", component_args=hide_dirs),
            "outdir_txt2img_grids": O(
                _out("txt2img-grids"), "txt2img grids", component_args=hide_dirs
            ),
            "outdir_img2img_grids": O(
                _out("img2img-grids"), "img2img grids", component_args=hide_dirs
            ),
            "outdir_save": O(
                str(Path(data_path, "log", "images")), "Save button", component_args=hide_dirs
            ),
            "outdir_init_images": O(
                _out("init-images"), "img2img sources", component_args=hide_dirs
            ),
        },
    )
)

options_templates.update(
    options_section(
        ("saving-to-dirs", "Saving to a directory", "saving"),
        {
            "save_to_dirs": O(True, "Save images to a subdirectory"),
            "grid_save_to_dirs": O(True, "Save grids to a subdirectory"),
            "directories_filename_pattern": O(
                "[date]", "Directory name pattern", component_args=hide_dirs
            ),
        },
    )
)

options_templates.update(
    options_section(
        ("system", "System", "system"),
        {
            "enable_console_prompts": O(shared.cmd_opts.enable_console_prompts, "Print prompts"),
            "memmon_poll_rate": O(8, "VRAM usage polls per second", gr.Slider, _slider(0, 40, 1)),
            "samples_log_stdout": O(False, "Always print all generation info to standard output"),
            "list_hidden_files": O(True, "Load models/files in hidden directories"),
            "disable_mmap_load_safetensors": O(False, "Disable memmapping for .safetensors files"),
        },
    )
)

options_templates.update(
    options_section(
        ("API", "API", "system"),
        {
            "api_enable_requests": O(True, "Allow URLs for input images in API", restrict_api=True),
            "api_forbid_local_requests": O(
                True, "Forbid URLs to local resources", restrict_api=True
            ),
            "api_useragent": O("", "User agent for requests", restrict_api=True),
        },
    )
)

options_templates.update(
    options_section(
        ("sd", "Stable Diffusion", "sd"),
        {
            "sd_model_checkpoint": O(
                None,
                "Stable Diffusion checkpoint",
                gr.Dropdown,
                lambda: {"choices": shared.list_checkpoint_tiles()},
                refresh=shared.refresh_checkpoints,
                infotext="Model hash",
            ),
            "sd_checkpoints_limit": O(
                1,
                "Maximum number of checkpoints loaded at the same time",
                gr.Slider,
                _slider(1, 10, 1),
            ),
            "sd_checkpoints_keep_in_cpu": O(True, "Only keep one model on device"),
            "sd_checkpoint_cache": O(
                0, "Checkpoints to cache in RAM", gr.Slider, _slider(0, 10, 1)
            ),
            "sd_unet": O(
                "Automatic",
                "SD Unet",
                gr.Dropdown,
                lambda: {"choices": shared_items.sd_unet_items()},
                refresh=shared_items.refresh_unet_list,
            ),
            "CLIP_stop_at_last_layers": O(
                1, "Clip skip", gr.Slider, _slider(1, 12, 1), infotext="Clip skip"
            ),
            "emphasis": O(
                "Original",
                "Emphasis mode",
                gr.Radio,
                {"choices": ["None", "Ignore", "Original"]},
                infotext="Emphasis",
            ),
            "upcast_attn": O(False, "Upcast cross attention layer to float32"),
            "randn_source": O(
                "GPU",
                "Random number generator source.",
                gr.Radio,
                {"choices": ["GPU", "CPU", "NV"]},
                infotext="RNG",
            ),
            "tiling": O(False, "Tiling", infotext="Tiling"),
            "hires_fix_refiner_pass": O(
                "second pass",
                "Hires fix: which pass to enable refiner for",
                gr.Radio,
                {"choices": ["first pass", "second pass", "both passes"]},
                infotext="Hires refiner",
            ),
            "comma_padding_backtrack": O(20, "Prompt word wrap length limit"),
            "enable_prompt_comments": O(True, "Enable comments"),
        },
    )
)

options_templates.update(
    options_section(
        ("sdxl", "Stable Diffusion XL", "sd"),
        {
            "sdxl_crop_top": O(0, "crop top coordinate"),
            "sdxl_crop_left": O(0, "crop left coordinate"),
            "sdxl_refiner_low_aesthetic_score": O(2.5, "SDXL low aesthetic score", gr.Number),
            "sdxl_refiner_high_aesthetic_score": O(6.0, "SDXL high aesthetic score", gr.Number),
        },
    )
)

options_templates.update(
    options_section(
        ("vae", "VAE", "sd"),
        {
            "sd_vae": O(
                "Automatic",
                "SD VAE",
                gr.Dropdown,
                lambda: {"choices": shared_items.sd_vae_items()},
                infotext="VAE",
            ),
            "sd_vae_encode_method": O(
                "Full",
                "VAE type for encode",
                gr.Radio,
                {"choices": ["Full"]},
                infotext="VAE Encoder",
            ),
            "sd_vae_decode_method": O(
                "Full",
                "VAE type for decode",
                gr.Radio,
                {"choices": ["Full"]},
                infotext="VAE Decoder",
            ),
        },
    )
)

options_templates.update(
    options_section(
        ("img2img", "img2img", "sd"),
        {
            "inpainting_mask_weight": O(
                1.0,
                "Inpainting conditioning mask strength",
                gr.Slider,
                _slider(0, 1, 0.01),
                infotext="Conditional mask weight",
            ),
            "initial_noise_multiplier": O(
                1.0,
                "Noise multiplier for img2img",
                gr.Slider,
                _slider(0, 1.5, 0.001),
                infotext="Noise multiplier",
            ),
            "img2img_extra_noise": O(
                0.0,
                "Extra noise multiplier for img2img and hires fix",
                gr.Slider,
                _slider(0, 1, 0.01),
                infotext="Extra noise",
            ),
            "img2img_color_correction": O(False, "Apply color correction to img2img results"),
            "img2img_fix_steps": O(False, "With img2img, do exactly the amount of steps given"),
            "img2img_background_color": O("#ffffff", "With img2img, fill transparent parts with"),
            "img2img_editor_height": O(
                720, "Height of the image editor", gr.Slider, _slider(80, 1600, 1)
            ),
            "return_mask": O(False, "For inpainting, include the greyscale mask in results"),
            "return_mask_composite": O(
                False, "For inpainting, include masked composite in results"
            ),
            "img2img_batch_show_results_limit": O(
                32, "Show the first N batch img2img results", gr.Slider, _slider(-1, 1000, 1)
            ),
            "overlay_inpaint": O(True, "Overlay original for inpaint"),
        },
    )
)

options_templates.update(
    options_section(
        ("optimizations", "Optimizations", "sd"),
        {
            "cross_attention_optimization": O(
                "Automatic",
                "Cross attention optimization",
                gr.Dropdown,
                lambda: {"choices": shared_items.cross_attention_optimizations()},
            ),
            "s_min_uncond": O(
                0.0,
                "Negative Guidance minimum sigma",
                gr.Slider,
                _slider(0, 15, 0.01),
                infotext="NGMS",
            ),
            "s_min_uncond_all": O(
                False, "Negative Guidance minimum sigma all steps", infotext="NGMS all steps"
            ),
            "token_merging_ratio": O(
                0.0,
                "Token merging ratio",
                gr.Slider,
                _slider(0, 0.9, 0.1),
                infotext="Token merging ratio",
            ),
            "token_merging_ratio_img2img": O(
                0.0, "... for img2img", gr.Slider, _slider(0, 0.9, 0.1)
            ),
            "token_merging_ratio_hr": O(
                0.0,
                "... for high-res pass",
                gr.Slider,
                _slider(0, 0.9, 0.1),
                infotext="Token merging ratio hr",
            ),
            "pad_cond_uncond": O(False, "Pad prompt/negative prompt", infotext="Pad conds"),
            "pad_cond_uncond_v0": O(
                False, "Pad prompt/negative prompt (v0)", infotext="Pad conds v0"
            ),
            "persistent_cond_cache": O(True, "Persistent cond cache"),
            "batch_cond_uncond": O(True, "Batch cond/uncond"),
            "fp8_storage": O("Disable", "FP8 weight", infotext="FP8 weight"),
            "cache_fp16_weight": O(False, "Cache FP16 weight for LoRA"),
        },
    )
)

options_templates.update(
    options_section(
        ("compatibility", "Compatibility", "sd"),
        {
            "auto_backcompat": O(True, "Automatic backward compatibility"),
            "use_old_scheduling": O(
                False, "Use old prompt editing timelines.", infotext="Old prompt editing timelines"
            ),
            "use_old_hires_fix_width_height": O(False, "For hires fix, set the final resolution"),
            "use_old_karras_scheduler_sigmas": O(
                False, "Use old karras scheduler sigmas (0.1 to 10)."
            ),
            "hires_fix_use_firstpass_conds": O(
                False, "For hires fix, calculate conds with first pass"
            ),
            "no_dpmpp_sde_batch_determinism": O(False, "Do not make DPM++ SDE deterministic"),
            "refiner_switch_by_sample_steps": O(
                False,
                "Switch to refiner by sampling steps",
                infotext="Refiner switch by sampling steps",
            ),
        },
    )
)

options_templates.update(
    options_section(
        ("face-restoration", "Face restoration", "postprocessing"),
        {
            "face_restoration": O(False, "Restore faces", infotext="Face restoration"),
            "face_restoration_model": O("CodeFormer", "Face restoration model"),
        },
    )
)

options_templates.update(
    options_section(
        ("ui_gallery", "Gallery", "ui"),
        {
            "return_grid": O(True, "Show grid in gallery"),
            "do_not_show_images": O(False, "Do not show any images in gallery"),
            "gallery_height": O("", "Gallery height", gr.Textbox).needs_reload_ui(),
        },
    )
)

options_templates.update(
    options_section(
        ("ui_alternatives", "UI alternatives", "ui"),
        {
            "samplers_in_dropdown": O(True, "Use dropdown for sampler selection").needs_reload_ui(),
            "dimensions_and_batch_together": O(True, "Width/Height and Batch sliders in same row"),
            "hires_fix_show_sampler": O(False, "Hires fix: show checkpoint and sampler selection"),
            "hires_fix_show_prompts": O(False, "Hires fix: show hires prompt and negative prompt"),
            "interrupt_after_current": O(True, "Don't Interrupt in the middle"),
        },
    )
)

options_templates.update(
    options_section(
        ("ui", "User interface", "ui"),
        {
            "quicksettings_list": O(
                ["sd_model_checkpoint"],
                "Quicksettings list",
                ui_components.DropdownMulti,
                lambda: {"choices": list(shared.opts.data_labels)},
            ),
            "ui_reorder_list": O(
                [],
                "UI item order for txt2img/img2img tabs",
                ui_components.DropdownMulti,
                lambda: {
                    "choices": list(shared_items.ui_reorder_categories()),
                },
            ).needs_reload_ui(),
            "show_progress_in_title": O(True, "Show generation progress in window title."),
            "send_seed": O(True, "Send seed when sending to other interface"),
            "send_size": O(True, "Send size when sending to another interface"),
        },
    )
)

options_templates.update(
    options_section(
        ("infotext", "Infotext", "ui"),
        {
            "enable_pnginfo": O(True, "Write infotext to metadata of the generated image"),
            "save_txt": O(False, "Create a text file with infotext next to every generated image"),
            "add_model_name_to_info": O(True, "Add model name to infotext"),
            "add_model_hash_to_info": O(True, "Add model hash to infotext"),
            "add_vae_name_to_info": O(True, "Add VAE name to infotext"),
            "add_vae_hash_to_info": O(True, "Add VAE hash to infotext"),
            "add_user_name_to_info": O(False, "Add user name to infotext when authenticated"),
            "add_version_to_infotext": O(True, "Add program version to infotext"),
            "disable_weights_auto_swap": O(True, "Disregard checkpoint from pasted infotext"),
            "infotext_skip_pasting": O(
                [],
                "Disregard fields from pasted infotext",
                ui_components.DropdownMulti,
                lambda: {"choices": shared_items.get_infotext_names()},
            ),
            "infotext_styles": O("Apply if any", "Infer styles from prompts of pasted infotext"),
        },
    )
)

options_templates.update(
    options_section(
        ("extra_networks", "Extra Networks", "sd"),
        {
            "extra_networks_default_multiplier": O(
                1.0, "Default multiplier for extra networks", gr.Slider, _slider(0, 2, 0.01)
            ),
            "extra_networks_add_text_separator": O(" ", "Extra networks separator"),
        },
    )
)

options_templates.update(
    options_section(
        ("ui", "Live previews", "ui"),
        {
            "show_progressbar": O(True, "Show progressbar"),
            "live_previews_enable": O(True, "Show live previews of the created image"),
            "live_previews_image_format": O("png", "Live preview file format"),
            "show_progress_grid": O(
                True, "Show previews of all images generated in a batch as a grid"
            ),
            "show_progress_every_n_steps": O(10, "Live preview display period"),
            # A1111's default, "Approx NN", wants a model file; here is only the full decoder
            "show_progress_type": O("Full", "Live preview method", gr.Radio, {"choices": ["Full"]}),
            "live_preview_content": O("Prompt", "Live preview subject"),
            "live_preview_refresh_period": O(1000, "Progressbar and preview update period"),
            "live_preview_fast_interrupt": O(
                False, "Return image with chosen preview method on interrupt"
            ),
            "live_preview_allow_lowvram_full": O(
                False, "Allow Full live preview with lowvram/medvram"
            ),
            "prevent_screen_sleep_during_generation": O(
                False, "Prevent screen sleep during generation"
            ),
        },
    )
)

options_templates.update(
    options_section(
        ("sampler-params", "Sampler parameters", "sd"),
        {
            "hide_samplers": O(
                [],
                "Hide samplers in user interface",
                gr.CheckboxGroup,
                lambda: {"choices": [x.name for x in shared_items.list_samplers()]},
            ),
            "eta_ddim": O(0.0, "Eta for DDIM", gr.Slider, _slider(0, 1, 0.01), infotext="Eta DDIM"),
            "eta_ancestral": O(
                1.0, "Eta for k-diffusion", gr.Slider, _slider(0, 1, 0.01), infotext="Eta"
            ),
            "s_churn": O(
                0.0, "sigma churn", gr.Slider, _slider(0, 100, 0.01), infotext="Sigma churn"
            ),
            "s_tmin": O(0.0, "sigma tmin", gr.Slider, _slider(0, 10, 0.01), infotext="Sigma tmin"),
            "s_tmax": O(0.0, "sigma tmax", gr.Slider, _slider(0, 999, 0.01), infotext="Sigma tmax"),
            "s_noise": O(
                1.0, "sigma noise", gr.Slider, _slider(0, 1.1, 0.001), infotext="Sigma noise"
            ),
            "sigma_min": O(0.0, "sigma min", gr.Number, infotext="Schedule min sigma"),
            "sigma_max": O(0.0, "sigma max", gr.Number, infotext="Schedule max sigma"),
            "rho": O(0.0, "rho", gr.Number, infotext="Schedule rho"),
            "eta_noise_seed_delta": O(0, "Eta noise seed delta", gr.Number, infotext="ENSD"),
            "always_discard_next_to_last_sigma": O(
                False, "Always discard next-to-last sigma", infotext="Discard penultimate sigma"
            ),
            "sgm_noise_multiplier": O(
                False, "SGM noise multiplier", infotext="SGM noise multiplier"
            ),
            "enable_quantization": O(False, "Enable quantization in K samplers"),
            "skip_early_cond": O(
                0.0,
                "Ignore negative prompt during early sampling",
                gr.Slider,
                _slider(0, 1, 0.01),
                infotext="Skip Early CFG",
            ),
        },
    )
)

options_templates.update(
    options_section(
        ("postprocessing", "Postprocessing", "postprocessing"),
        {
            "upscaler_for_img2img": O(
                None,
                "Upscaler for img2img",
                gr.Dropdown,
                lambda: {"choices": [x.name for x in shared.sd_upscalers]},
            ),
        },
    )
)

options_templates.update(
    options_section(
        (None, "Hidden options"),
        {
            "disabled_extensions": O([], "Disable these extensions"),
            "disable_all_extensions": O("none", "Disable all extensions"),
            "restore_config_state_file": O("", "Config state file to restore from"),
            "sd_checkpoint_hash": O("", "SHA256 hash of the current checkpoint"),
            "txt2img_settings_accordion": O(False, "Settings in txt2img hidden under Accordion"),
            "img2img_settings_accordion": O(False, "Settings in img2img hidden under Accordion"),
        },
    )
)
