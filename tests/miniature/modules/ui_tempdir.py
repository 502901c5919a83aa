"""Pictures of the gallery: which files are shown, and that only those may be read by name."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from modules import patches, shared
from modules.ui_tempdir_files import check_tmp_file, register_tmp_file, save_anew  # noqa: F401


def saved_file(item: dict) -> str:
    """The file behind a picture of the gallery, as an event receives it."""
    return item["name"].rsplit("?", 1)[0]


def save_pil_to_file(self, pil_image, dir=None, format="png") -> str:
    """Instead of Gradio's: shows the file that was saved already, else keeps the infotext."""
    saved = getattr(pil_image, "already_saved_as", None)
    if saved and Path(saved).is_file():
        with_time = f"{saved}?{Path(saved).stat().st_mtime}"
        register_tmp_file(shared.demo, saved)
        register_tmp_file(shared.demo, with_time)
        return with_time
    return save_anew(pil_image, shared.opts.temp_dir or dir)


patches.patch(
    __name__, obj=gr.components.IOComponent, field="pil_to_temp_file", replacement=save_pil_to_file
)
