"""Pasting infotext: one function for each of the page's values.

A function that returns None leaves its component as it is. The switches have functions too: the
infotext of a picture made without the extension, or without a unit, switches them off (the one of
the accordion is in page/paste_losses.py).

Infotext names pictures by their hashes. Those that the reference store still has are put back as
the page's text boxes hold them; for the others None is returned. Where strangers may use the page
the boxes are emptied, and page/paste_back.py then puts back what the same tab has sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from lib_instantstyle import limits
from lib_instantstyle.hosts import reference_folder
from lib_instantstyle.hosts.page import is_public
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.controls import page_value
from lib_instantstyle.page.sent_pictures import sent_pictures
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.infotext import Written, read

Paster = Callable[[Mapping[str, object]], Any]
_DIGITS = 12  # of a hash, as infotext has them
_GONE = "no longer kept here, and its box was left as it was"
_NOT_YOURS = "not handed out on a public address"  # the same whether it is kept or not
# First bytes of a picture file and its media type; any other is called JPEG, for browsers look at
# the bytes themselves.
_TYPES = ((b"\x89PNG", "png"), (b"GIF8", "gif"), (b"RIFF", "webp"))


@dataclass(frozen=True)
class Kept:
    """The pictures that infotext names, as files with their weights.

    missing: one that cannot be had, as infotext has it. why: the reason; empty if all can be had.
    """

    files: Sequence[tuple[bytes, str]] = ()
    missing: str = ""
    why: str = ""

    @property
    def text(self) -> str | None:
        """As the page's text boxes hold them; "" if none is named, None if one cannot be had."""
        if self.why:
            return None
        held = [{"image": _data_url(data), "weight": weight or 1} for data, weight in self.files]
        if len(held) == 1 and held[0]["weight"] == 1:
            return str(held[0]["image"])
        # A weight that is no number is refused when the unit is parsed.
        return json.dumps(held) if held else ""


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
        if name in TABLE.pictures and is_public():
            return ""  # an earlier picture must not stand for the one that is named
        if name == "style":
            return written.unit.style or ("" if is_public() else style_instead(written))
        if name == "image" and style_instead(written):
            return ""  # beside a style no picture may stand
        if name in TABLE.pictures:
            return kept_pictures(written.hashes.get(name, ""))
        return page_value(written.unit, name)

    return paste


def kept_pictures(written: str) -> str | None:
    """The text of `find_kept`, for nobody in particular."""
    return find_kept(written).text


def find_kept(written: str, sender: str = "") -> Kept:
    """The pictures that `written` names ("1a2b3c4d5e6f 0a1b2c3d4e5f*0.5"), for the tab `sender`.

    They cannot be had if the store lacks one (infotext holds no pixels), or they are more than a
    page can take, or strangers may use the page and the tab has not sent them itself.
    """
    if not written:
        return Kept()
    from lib_instantstyle.references.store import ReferenceStore  # Pillow's part

    folder, public = reference_folder(), is_public()
    store = ReferenceStore(folder) if folder else None
    found: list[tuple[bytes, str]] = []
    entries = written.split(maxsplit=limits.REFERENCES)
    if len(entries) > limits.REFERENCES:
        return Kept((), entries[0][:_DIGITS], f"one of more than {limits.REFERENCES}")
    for entry in entries:
        digest, _, weight = entry.partition("*")
        data = store.get(digest, _allows(sender) if public else None) if store else None
        if data is None:
            return Kept((), digest[:_DIGITS], _NOT_YOURS if public else _GONE)
        found.append((data, weight))
        if sum(len(data) for data, _ in found) > limits.PASTED_BYTES:
            why = f"with the others larger than {limits.PASTED_BYTES:,} bytes"
            return Kept((), digest[:_DIGITS], why)
    return Kept(found)


def _allows(sender: str) -> Callable[[str], bool]:
    return lambda sha256: sent_pictures().has(sender, sha256)


def style_instead(written: Written, sender: str = "") -> str:
    """The saved style made from the one reference of `written`, if the picture cannot be had.

    "" if there is none, or if the unit processes the picture in a way that a style cannot hold.
    Everybody may use saved styles, so that this also serves strangers.
    """
    from lib_instantstyle.styles.header import NEEDS_PICTURE

    unit = written.unit
    as_it_is = not any(map(unit.differs, NEEDS_PICTURE))
    alone = written.hashes.keys() <= {"image", "mask"}
    if not unit.declared.takes_styles or unit.style or not as_it_is or not alone:
        return ""
    if not written.reference or not find_kept(written.reference, sender).why:
        return ""
    style = library(TABLE).made_from(written.reference)
    return style.name if style else ""


def _data_url(data: bytes) -> str:
    kind = next((name for start, name in _TYPES if data.startswith(start)), "jpeg")
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
