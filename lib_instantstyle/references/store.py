"""Reference pictures kept on this machine, so that pasting infotext brings them back.

Infotext holds the start of a picture's hash and no pixels.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from lib_instantstyle.files.own_files import BoundedFolder, write_file
from lib_instantstyle.hosts import reference_folder

SHORTEST = 12  # hexadecimal digits that are enough to ask for a picture; infotext holds these


class ReferenceStore:
    """The pictures in `folder`."""

    def __init__(self, folder: BoundedFolder) -> None:
        self._files = folder

    def put(self, data: bytes) -> str | None:
        """Keep the picture file `data` as it came, and mend the file if it is damaged.

        None, or a sentence for the user where that is not possible: no reason to make no picture.
        """
        digest = hashlib.sha256(data).hexdigest()
        if self._files.read(digest) == data:
            return None
        self._files.remove(digest)
        try:
            self._files.write(digest, data)
        except OSError as error:
            return (
                f"references cannot be kept in {self._files.path} "
                f"({error.strerror}); pasting infotext will not bring them back."
            )
        return None

    def get(self, digest: str) -> bytes | None:
        """The picture whose SHA-256 begins with `digest`; None if it is not here any more."""
        if len(digest) < SHORTEST:
            return None
        for known in self._files.digests():
            if known.startswith(digest):
                data = self._files.read(known)
                if data is not None and hashlib.sha256(data).hexdigest() == known:
                    return data
                self._files.remove(known)
        return None


def store() -> ReferenceStore | None:
    """That of this WebUI; None where the user wants none."""
    folder = reference_folder()
    return None if folder is None else ReferenceStore(folder)


# What the image encoder saw of each reference, saved on request for the user to look at.


def save_crops(sha256: str, key: str, views: Sequence[Image.Image], folder: Path) -> str | None:
    """Write the squares that CLIP sees of a picture into `folder`, each once.

    sha256: of the picture; its start, as in infotext, begins the name. key: of what is seen of it
    (see references/views.py); where it is not the plain picture its own hash follows. None, or
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
