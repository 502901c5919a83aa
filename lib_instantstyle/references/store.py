"""Pictures kept on this machine: references for pasting infotext, and crops for the user.

Infotext has the start of a reference's hash and no pixels; the store finds the picture by it. The
crops that the image encoder is given are saved only if the user has switched that on.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from lib_instantstyle.files.own_files import BoundedFolder, shown_folder, write_file
from lib_instantstyle.hosts import reference_folder
from lib_instantstyle.references.pictures import Picture

SHORTEST = 12  # hexadecimal digits of a hash, as infotext has them; fewer find no picture


class ReferenceStore:
    """The pictures in `folder`."""

    def __init__(self, folder: BoundedFolder) -> None:
        self._files = folder

    def put(self, data: bytes, digest: str = "") -> str | None:
        """Keep the picture file `data`, replacing a damaged copy.

        digest: its SHA-256, where that is known. Returns None, or a sentence for the user if it
        cannot be written, which stops nothing.
        """
        digest = digest or hashlib.sha256(data).hexdigest()
        if self._files.read(digest) == data:
            return None
        self._files.remove(digest)
        try:
            self._files.write(digest, data)
        except OSError as error:
            return (
                f"references cannot be kept in {shown_folder(self._files.path)} "
                f"({error.strerror}); pasting infotext will not bring them back."
            )
        return None

    def get(self, digest: str, allowed: Callable[[str], bool] | None = None) -> bytes | None:
        """The picture file whose SHA-256 begins with `digest`; None if it is no longer kept.

        allowed: asked with a whole SHA-256 whether that picture may be read.
        """
        if len(digest) < SHORTEST:
            return None
        for known in self._files.digests():
            if known.startswith(digest) and (allowed is None or allowed(known)):
                data = self._files.read(known)
                if data is not None and hashlib.sha256(data).hexdigest() == known:
                    return data
                self._files.remove(known)
        return None


def store() -> ReferenceStore | None:
    """The store of this WebUI; None if the user has switched it off."""
    folder = reference_folder()
    return None if folder is None else ReferenceStore(folder)


def keep_files(
    pictures: Sequence[Picture], folder: BoundedFolder | None, notify: Callable[[str], None]
) -> None:
    """Keep the files of `pictures` in `folder`, if there is one; empty ones are left out.

    notify: called with a sentence for each that cannot be written, which stops nothing.
    """
    kept = None if folder is None else ReferenceStore(folder)
    for each in pictures if kept else ():
        if kept and each.file and (sentence := kept.put(each.file, each.sha256)):
            notify(sentence)


def save_crops(sha256: str, key: str, views: Sequence[Image.Image], folder: Path) -> str | None:
    """Write the crops `views` of a picture into `folder`, unless they are there.

    sha256: of the picture; file names begin with its start, as in infotext. key: of the encoder
    input (see references/views.py); its hash is added to the name unless the input is the plain
    picture. Returns None, or a sentence for the user if it cannot be written, which stops nothing.
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
        folder = shown_folder(path.parent)
        return f"what CLIP saw could not be saved in {folder} ({error.strerror})."
    return None
