"""Pictures of the gallery: which files are shown, and that only those may be read by name."""

from __future__ import annotations

import tempfile
from pathlib import Path

import gradio as gr
from modules import patches, shared
from PIL import PngImagePlugin


def register_tmp_file(gradio: gr.Blocks, filename: str) -> None:
    gradio.temp_file_sets[0] |= {str(Path(filename).absolute())}


def check_tmp_file(gradio: gr.Blocks, filename: str) -> bool:
    return any(filename in known for known in gradio.temp_file_sets)


def save_pil_to_file(self, pil_image, dir=None, format="png") -> str:
    """Instead of Gradio's: shows the file that was saved already, else keeps the infotext."""
    saved = getattr(pil_image, "already_saved_as", None)
    if saved and Path(saved).is_file():
        with_time = f"{saved}?{Path(saved).stat().st_mtime}"
        register_tmp_file(shared.demo, saved)
        register_tmp_file(shared.demo, with_time)
        return with_time
    folder = shared.opts.temp_dir or dir
    Path(folder).mkdir(parents=True, exist_ok=True)
    metadata = PngImagePlugin.PngInfo()
    for key, value in pil_image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            metadata.add_text(key, value)
    with tempfile.NamedTemporaryFile(delete=False, suffix=".png", dir=folder) as file:
        pil_image.save(file, format="PNG", pnginfo=metadata)
    return file.name


patches.patch(
    __name__, obj=gr.components.IOComponent, field="pil_to_temp_file", replacement=save_pil_to_file
)
