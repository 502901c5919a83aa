"""The page's Generate button."""

from __future__ import annotations


def press_generate(webui, **values):
    """What pressing it in the txt2img tab answers: gallery, generation info, infotext, log."""
    fields = {
        "txt2img_prompt": "a cat",
        "txt2img_steps": 3,
        "txt2img_width": 64,
        "txt2img_height": 64,
        "txt2img_seed": 1,
        "txt2img_sampling": "Euler",
        "txt2img_neg_prompt": "",
    }
    return webui.press("txt2img_generate", _0="task(1)", **{**fields, **values})
