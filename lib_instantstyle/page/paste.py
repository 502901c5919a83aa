"""Pasting infotext: one function for each of the page's values.

A function that returns None leaves its component as it is. The switches have functions too: the
infotext of a picture made without the extension, or without a unit, switches them off (the one of
the accordion is in page/paste_losses.py).

Infotext names pictures by their hashes. Those that the reference store still has are put back as
the page's text boxes hold them; for the others a text that names them. Where strangers may use the
page none is put back here, and page/paste_back.py then puts back what the same tab has sent.
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
from lib_instantstyle.units.values import GONE

Paster = Callable[[Mapping[str, object]], Any]
_DIGITS = 12  # of a hash, as infotext has them
_GONE = "no longer kept here"
_NOT_YOURS = "not handed out on a public address"  # the same whether it is kept or not
# First bytes of a picture file and its media type; any other is called JPEG, for browsers look at
# the bytes themselves.
_TYPES = ((b"\x89PNG", "png"), (b"GIF8", "gif"), (b"RIFF", "webp"))


@dataclass(frozen=True)
class Kept:
    """The pictures that infotext names.

    entries: their files, or the text that stands for one that cannot be had, with their weights.
    missing: the first that cannot be had, as infotext has it. why: the reason; empty if all can be.
    """

    entries: Sequence[tuple[bytes | str, str]] = ()
    missing: str = ""
    why: str = ""

    @property
    def has_some(self) -> bool:
        """Whether one of them can be had."""
        return any(isinstance(entry, bytes) for entry, _ in self.entries)

    @property
    def text(self) -> str:
        """As the page's text boxes hold them; "" if none is named.

        One that cannot be had is named there too: the page shows it, and a generation refuses it.
        An earlier picture must never stand for it.
        """
        held = [
            {"image": entry if isinstance(entry, str) else _data_url(entry), "weight": weight or 1}
            for entry, weight in self.entries
        ]
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
        if name == "style":
            return written.unit.style or ("" if is_public() else style_instead(written))
        if name == "image" and style_instead(written):
            return ""  # beside a style no picture may stand
        if name in TABLE.pictures:
            return kept_pictures(written.hashes.get(name, ""))
        return page_value(written.unit, name)

    return paste


def kept_pictures(written: str) -> str:
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
    found: list[tuple[bytes | str, str]] = []
    entries = written.split(maxsplit=limits.REFERENCES)
    if len(entries) > limits.REFERENCES:
        return _none_of(entries[0], f"one of more than {limits.REFERENCES}")
    missing, size = "", 0
    for entry in entries:
        digest, _, weight = entry.partition("*")
        data = store.get(digest, _allows(sender) if public else None) if store else None
        size += len(data or b"")
        if size > limits.PASTED_BYTES:
            return _none_of(entry, f"with the others larger than {limits.PASTED_BYTES:,} bytes")
        missing = missing or ("" if data else digest[:_DIGITS])
        found.append((data or GONE + digest[:_DIGITS], weight))
    return Kept(found, missing, (_NOT_YOURS if public else _GONE) if missing else "")


def _none_of(entry: str, why: str) -> Kept:
    missing = entry.partition("*")[0][:_DIGITS]
    return Kept([(GONE + missing, "")], missing, why)


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
