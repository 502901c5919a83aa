"""From infotext back into the page: one function for each of the page's values.

A value that is None leaves its component as it is. The switches must be functions of their own:
a picture made without the extension, or without a unit, has to switch them off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from lib_instantstyle.methods import TABLE
from lib_instantstyle.pure.infotext import OWN_KEY, read
from lib_instantstyle.webui.controls import page_value
from lib_instantstyle.webui.kept_pictures import kept_pictures, style_instead

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
