"""Our section of the WebUI's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modules import shared

from lib_instantstyle.limits import UNITS

KEEP_ENCODER = "instantstyle_keep_encoder"
SAVE_CROPS = "instantstyle_save_crops"
NESTED = "instantstyle_nested"
PAGE_UNITS = "instantstyle_units"
PAGE_UNITS_TITLE = "Units on the page"
DEFAULT_UNITS = 3
REFERENCES_MB, EMBEDDINGS_MB = "instantstyle_reference_store_mb", "instantstyle_embedding_cache_mb"
DEFAULT_MB = 200
_EXACT_STEPS = "img2img_fix_steps"
_MOST_STRENGTH = 0.999  # as in sd_samplers_common.setup_img2img_steps
_SECTION = ("instantstyle", "InstantStyle")


def page_units() -> int:
    """How many units the page has; fixed when it is built."""
    return min(max(int(shared.opts.data.get(PAGE_UNITS, DEFAULT_UNITS)), 1), UNITS)


def token_merging_ratio(img2img: bool, override: Mapping[str, Any]) -> float:
    """The share of tokens that the WebUI merges by its settings.

    override: settings that hold for one request in the place of the user's.
    """
    names = ["token_merging_ratio"]
    if img2img and not override.get(names[0]):
        names.insert(0, "token_merging_ratio_img2img")
    ratios = (override.get(name, shared.opts.data.get(name)) for name in names)
    return float(next(filter(None, ratios), 0))


def img2img_steps(steps: int, strength: float, override: Mapping[str, Any]) -> int:
    """The steps that img2img executes where `steps` are asked for, by the WebUI's settings."""
    fixed = override.get(_EXACT_STEPS, shared.opts.data.get(_EXACT_STEPS, False))
    return steps if fixed else int(min(strength, _MOST_STRENGTH) * steps) + 1


def with_prompt_styles(prompt: str, names: Sequence[str], negative: bool = False) -> str:
    """`prompt` with the user's prompt styles (styles.csv) of these names; unknown ones add nothing.

    negative: whether it is a negative prompt.
    """
    styles = shared.prompt_styles
    if not names or styles is None:
        return prompt
    apply = styles.apply_negative_styles_to_prompt if negative else styles.apply_styles_to_prompt
    return str(apply(prompt, names))


def register_settings() -> None:
    """Add our settings to the WebUI's; values that the user has saved are kept."""
    shared.opts.add_option(
        KEEP_ENCODER,
        shared.OptionInfo(
            False,
            "Keep the image encoder in memory between generations",
            section=_SECTION,
        ).info("a new reference is then read faster; ViT-bigG takes 3.7 GB, ViT-H 1.3 GB"),
    )
    shared.opts.add_option(
        SAVE_CROPS,
        shared.OptionInfo(
            False,
            "Save what the image encoder sees of each reference",
            section=_SECTION,
        ).info("a square picture in models/InstantStyle/crops, named by the hash in infotext"),
    )
    shared.opts.add_option(
        NESTED,
        shared.OptionInfo(
            False,
            "Style the passes that another extension makes inside a generation",
            section=_SECTION,
        ).info("such as ADetailer's for faces, if its settings name instantstyle"),
    )
    shared.opts.add_option(
        PAGE_UNITS,
        shared.OptionInfo(
            DEFAULT_UNITS,
            PAGE_UNITS_TITLE,
            section=_SECTION,
        )
        .info(f"1 to {UNITS}; each has a reference and settings of its own")
        .needs_reload_ui(),
    )
    shared.opts.add_option(
        REFERENCES_MB,
        shared.OptionInfo(
            DEFAULT_MB,
            "Megabytes of reference pictures to keep, so that pasting infotext brings them back",
            section=_SECTION,
        ).info("in models/InstantStyle/references; the longest unused are deleted first; 0 is off"),
    )
    shared.opts.add_option(
        EMBEDDINGS_MB,
        shared.OptionInfo(
            DEFAULT_MB,
            "Megabytes of embeddings to keep, so that a known reference needs no image encoder",
            section=_SECTION,
        ).info("in models/InstantStyle/cache; no pictures; 0 is off"),
    )


def bytes_to_keep(name: str) -> int:
    """The setting `name`, REFERENCES_MB or EMBEDDINGS_MB, in bytes; 0 is off."""
    try:
        return max(0, int(float(shared.opts.data.get(name, DEFAULT_MB)) * 2**20))
    except (TypeError, ValueError, OverflowError):  # an emptied field of the settings page
        return 0


def leaves_out(p: Any) -> bool:
    """Whether `p` is a pass nested in a generation (ADetailer), which by default gets no style."""
    return bool(getattr(p, "_ad_inner", False)) and not shared.opts.data.get(NESTED, False)
