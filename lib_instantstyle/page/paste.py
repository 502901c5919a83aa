"""From infotext back into the page: one function for each of the page's values.

A value that is None leaves its component as it is. The switches must be functions of their own:
a picture made without the extension, or without a unit, has to switch them off.
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
from lib_instantstyle.references.store import ReferenceStore
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.infotext import OWN_KEY, Written, read

Paster = Callable[[Mapping[str, object]], Any]


def switch_paster(params: Mapping[str, object]) -> bool:
    """The accordion's switch."""
    return any(OWN_KEY.fullmatch(key) for key in params)


@cache
def paster(number: int, name: str) -> Paster:
    """The function for field `name` of unit `number`; asked again, the same one.

    It also serves as a name under which "Send to img2img" finds the field in the other tab.
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


# Pictures that infotext names by their hashes, as the page's text boxes hold them.

# What a browser needs no name for either; the rest is told by it from the bytes.
_TYPES = ((b"\x89PNG", "png"), (b"GIF8", "gif"), (b"RIFF", "webp"))


def kept_pictures(written: str) -> str | None:
    """The pictures of `written` ("1a2b3c4d5e6f 0a1b2c3d4e5f*0.5"), if all are kept here.

    "" where none is written. None, which leaves the page's pictures as they are, where one is not
    kept: infotext holds no pixels; nor where they are more than a page can take.
    """
    folder = reference_folder()
    if not written:
        return ""
    if folder is None:
        return None
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
    return json.dumps(found)  # a weight that is no number is told of when the unit is read


def style_instead(written: Written) -> str:
    """The saved style of the one reference of `written`, where the picture itself is not kept.

    "" where there is none, or where the unit does more to the picture than a style tells.
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
