"""What the page's script says beside the fields: tab, switch, and which boxes hold pictures.

The pictures themselves stay in the browser. A small white picture stands for each, so that the
checks of a generation can be asked before there is one.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.limits import REFERENCES, STEPS
from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.values import GONE

TXT2IMG = "txt2img"
_NUMBERS = {"steps": int, "batch_size": int, "cfg_scale": float, "denoising_strength": float}
_SIDE = 8  # pixels of the picture that stands for another


@dataclass(frozen=True)
class Facts:
    """tab: "txt2img" or "img2img". is_on: the tick in the accordion's title. pictures: for each
    unit the texts of its boxes for pictures, by field. request: the generation as the API takes it,
    as far as it is known."""

    tab: str = TXT2IMG
    is_on: bool = True
    pictures: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    request: Mapping[str, object] = field(default_factory=dict)

    def of_unit(self, number: int) -> dict[str, str]:
        """The texts of the picture boxes of unit `number`, counted from 1."""
        given = self.pictures[number - 1] if number <= len(self.pictures) else {}
        return {name: given.get(name, "") for name in TABLE.pictures}


def read_facts(text: str) -> Facts:
    """The facts in the JSON that the page's script wrote.

    A picture is {"weight": number} there, or {"gone": hash} where a pasted one is not kept. What
    cannot be read counts as absent.
    """
    try:
        given = read_json(text) if text else {}
    except UnreadableJson:
        given = {}
    if not isinstance(given, Mapping):
        return Facts()
    units = given.get("units")
    boxes = [_boxes(unit) for unit in units] if isinstance(units, list) else []
    tab = str(given.get("tab", TXT2IMG))
    return Facts(tab, given.get("on") is not False, boxes, _request(given.get("numbers")))


def _request(numbers: object) -> dict[str, object]:
    """The numbers of the generation that are sound; nothing where the page does not know them."""
    given = numbers if isinstance(numbers, Mapping) else {}
    return {
        name: kind(value)
        for name, kind in _NUMBERS.items()
        if isinstance(value := given.get(name), (int, float)) and 0 <= value <= STEPS
    }


def _boxes(unit: object) -> dict[str, str]:
    found = {}
    for name in TABLE.pictures:
        entries = unit.get(name) if isinstance(unit, Mapping) else None
        if not isinstance(entries, list) or not entries:
            continue
        # One more than is allowed says as much as all of them.
        held = [_picture(entry) for entry in entries[: REFERENCES + 1]]
        found[name] = json.dumps(held) if name == "image" else str(held[0]["image"])
    return found


def _picture(entry: object) -> dict[str, object]:
    given = entry if isinstance(entry, Mapping) else {}
    gone = given.get("gone")
    image = GONE + gone[:64] if isinstance(gone, str) else _STAND_IN
    return {"image": image, "weight": given.get("weight", 1)}


def _white_png() -> str:
    """A small white picture as base64 text."""
    rows = b"".join(b"\0" + b"\xff" * _SIDE for _ in range(_SIDE))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", _SIDE, _SIDE, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )
    return base64.b64encode(png).decode()


_STAND_IN = _white_png()
