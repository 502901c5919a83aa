"""Our page in the WebUI's settings."""

from __future__ import annotations

from modules import shared

KEEP_ENCODER = "instantstyle_keep_encoder"


def register() -> None:
    """Add our settings; the WebUI calls this whenever it builds its page."""
    shared.opts.add_option(
        KEEP_ENCODER,
        shared.OptionInfo(
            False,
            "Keep the image encoder in memory between generations",
            section=("instantstyle", "InstantStyle"),
        ).info("a new reference is then read faster; ViT-bigG takes 3.7 GB, ViT-H 1.3 GB"),
    )
