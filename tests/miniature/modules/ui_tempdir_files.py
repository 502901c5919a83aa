"""Files of the page's pictures, whichever Gradio shows them."""

from __future__ import annotations

import tempfile
from pathlib import Path

from PIL import PngImagePlugin


def register_tmp_file(gradio, filename: str) -> None:
    """From now on the page may name this file. gradio: the Blocks of the page."""
    gradio.temp_file_sets[0] |= {str(Path(filename).absolute())}


def check_tmp_file(gradio, filename: str) -> bool:
    return any(str(Path(filename).absolute()) in known for known in gradio.temp_file_sets)


def save_anew(pil_image, folder: str) -> str:
    """A new PNG file with the picture's infotext."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    metadata = PngImagePlugin.PngInfo()
    for key, value in pil_image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            metadata.add_text(key, value)
    with tempfile.NamedTemporaryFile(delete=False, suffix=".png", dir=folder) as file:
        pil_image.save(file, format="PNG", pnginfo=metadata)
    return file.name
