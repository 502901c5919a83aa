"""Our page in the WebUI's settings."""

from __future__ import annotations

from typing import Any

from modules import shared

KEEP_ENCODER = "instantstyle_keep_encoder"
SAVE_CROPS = "instantstyle_save_crops"
NESTED = "instantstyle_nested"
_SECTION = ("instantstyle", "InstantStyle")


def register() -> None:
    """Add our settings; the WebUI calls this whenever it builds its page."""
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


def leaves_out(p: Any) -> bool:
    """Whether `p` is a nested pass that is to stay without style."""
    return bool(getattr(p, "_ad_inner", False)) and not shared.opts.data.get(NESTED, False)
