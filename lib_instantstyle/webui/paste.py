"""From infotext back into the page: one function for each of the page's values.

A value that is None leaves its component as it is. The switch must be a function of its own:
a picture made without the extension has to switch it off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lib_instantstyle.pure.infotext import read
from lib_instantstyle.pure.units import PAGE_FIELDS, PAGE_PICTURES

Paster = Callable[[Mapping[str, object]], Any]


def _enabled(params: Mapping[str, object]) -> bool:
    return read(params) is not None


def _image(params: Mapping[str, object]) -> None:
    """Infotext holds no pixels; the reference on the page stays."""


def _value(name: str) -> Paster:
    def paste(params: Mapping[str, object]) -> Any:
        written = read(params)
        if written is None:
            return None
        value = getattr(written.unit, name)
        return value if isinstance(value, (int, float)) else str(value)

    return paste


PASTERS: Mapping[str, Paster] = {
    "enabled": _enabled,
    **{name: _value(name) for name in PAGE_FIELDS},
    **dict.fromkeys(PAGE_PICTURES, _image),
}
