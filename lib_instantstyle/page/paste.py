"""Pasting infotext: one function for each of the page's values.

A function that returns None leaves its component as it is. The switches have functions too: the
infotext of a picture made without the extension, or without a unit, switches them off.

Infotext names pictures by their hashes. Those that the reference store still has are put back as
the page's text boxes hold them; for the others None is returned.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lib_instantstyle import limits
from lib_instantstyle.hosts import reference_folder
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.controls import page_value
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.infotext import OWN_KEY, Written, read

Paster = Callable[[Mapping[str, object]], Any]
# First bytes of a picture file and its media type; any other is called JPEG, for browsers look at
# the bytes themselves.
_TYPES = ((b"\x89PNG", "png"), (b"GIF8", "gif"), (b"RIFF", "webp"))


def switch_paster(params: Mapping[str, object]) -> bool:
    """The value of the accordion's switch: whether the infotext has a key of ours."""
    return any(OWN_KEY.fullmatch(key) for key in params)


@cache
def paster(number: int, name: str) -> Paster:
    """The function that gives field `name` of unit `number` its value.

    Equal arguments return the same function, because "Send to img2img" compares these functions to
    find the field in the other tab.
    """

    def paste(params: Mapping[str, object]) -> Any:
        written = read(params, TABLE, number)
        if name == "enabled":
            return written is not None
        if written is None:
            return None
        if name == "style":
            return written.unit.style or style_instead(written)
        if name == "image" and style_instead(written):
            return ""  # beside a style no picture may stand
        if name in TABLE.pictures:
            return kept_pictures(written.hashes.get(name, ""))
        return page_value(written.unit, name)

    return paste


def kept_pictures(written: str) -> str | None:
    """The pictures that `written` names ("1a2b3c4d5e6f 0a1b2c3d4e5f*0.5"), as the page holds them.

    "" if it names none. None, which leaves the page's pictures as they are, if the store lacks one
    (infotext holds no pixels), or they are more than a page can take.
    """
    folder = reference_folder()
    if not written:
        return ""
    if folder is None:
        return None
    from lib_instantstyle.references.store import ReferenceStore  # Pillow's part

    store = ReferenceStore(folder)
    found: list[dict[str, object]] = []
    size = 0
    entries = written.split(maxsplit=limits.REFERENCES)
    if len(entries) > limits.REFERENCES:
        return None  # no unit has as many
    for entry in entries:
        digest, _, weight = entry.partition("*")
        data = store.get(digest)
        if data is None:
            return None
        size += len(data)
        if size > limits.PASTED_BYTES:
            return None
        found.append({"image": _data_url(data), "weight": weight or 1})
    if len(found) == 1 and found[0]["weight"] == 1:
        return str(found[0]["image"])
    return json.dumps(found)  # a weight that is no number is refused when the unit is parsed


def style_instead(written: Written) -> str:
    """The saved style made from the one reference of `written`, if the store lacks the picture.

    "" if there is none, or if the unit processes the picture in a way that a style cannot hold.
    """
    from lib_instantstyle.styles.header import IN_FEATURES

    unit = written.unit
    as_it_is = not any(map(unit.differs, IN_FEATURES))
    alone = written.hashes.keys() <= {"image", "mask"}
    if not unit.declared.takes_styles or unit.style or not as_it_is or not alone:
        return ""
    if not written.reference or kept_pictures(written.reference) is not None:
        return ""
    style = library(TABLE).made_from(written.reference)
    return style.name if style else ""


def _data_url(data: bytes) -> str:
    kind = next((name for start, name in _TYPES if data.startswith(start)), "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
