"""What the image encoder saw of each reference, saved on request for the user to look at."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lib_instantstyle.tensor.clip_view import clip_view
from lib_instantstyle.tensor.pictures import Picture


def save_crop(picture: Picture, size: int, folder: Path) -> str | None:
    """Write the square of `size` pixels that CLIP sees of `picture` into `folder`.

    Named by the start of the picture's hash, as in infotext, and written once. None, or a sentence
    for the user where it could not be written: that is no reason to make no picture.
    """
    path = folder / f"{picture.sha256[:12]}-{size}.png"
    if path.exists():
        return None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, suffix=".tmp")
        try:
            with os.fdopen(handle, "wb") as file:
                clip_view(picture.image, size).save(file, "PNG")
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink()
            raise
    except OSError as error:
        return f"InstantStyle: what CLIP saw could not be saved in {folder} ({error.strerror})."
    return None
