"""What the image encoder saw of each reference, saved on request for the user to look at."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lib_instantstyle.pure.atomic_file import write_file


def save_crops(sha256: str, key: str, views: Sequence[Image.Image], folder: Path) -> str | None:
    """Write the squares that CLIP sees of a picture into `folder`, each once.

    sha256: of the picture; its start, as in infotext, begins the name. key: of what is seen of it
    (see tensor/encoder_input.py); where it is not the plain picture its own hash follows. None, or
    a sentence for the user where it could not be written: no reason to make no picture.
    """
    name = f"{sha256[:12]}-{views[0].width}"
    if key != sha256:
        name += f"-{hashlib.sha256(key.encode()).hexdigest()[:6]}"
    for i, view in enumerate(views):
        path = folder / f"{name}{f'-{i + 1}' if i else ''}.png"
        if not path.exists() and (sentence := _save(view, path)):
            return sentence
    return None


def _save(view: Image.Image, path: Path) -> str | None:
    file = io.BytesIO()
    view.save(file, "PNG")
    try:
        write_file(path, file.getvalue())
    except OSError as error:
        return f"what CLIP saw could not be saved in {path.parent} ({error.strerror})."
    return None
