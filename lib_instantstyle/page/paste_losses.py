"""What of a pasted infotext cannot be taken over, and how a client of the API learns of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from lib_instantstyle import limits
from lib_instantstyle.errors import printable
from lib_instantstyle.hosts.settings import PAGE_UNITS_TITLE, page_units
from lib_instantstyle.methods import TABLE
from lib_instantstyle.page.paste import find_kept, style_instead
from lib_instantstyle.run.notes import PASTED
from lib_instantstyle.units.infotext import INFOTEXT_KEY, REFERENCE, Written, read

UNIT_KEY = re.compile(re.escape(INFOTEXT_KEY).replace(r"\{\}", r"(\d+)"))
_LISTED_MOST = 6  # parts of a line, or units, that the sentence names; the others are counted


def switch_paster(params: Mapping[str, object]) -> bool:
    """The value of the accordion's switch: whether the infotext has a unit.

    The WebUI calls it for a request with the field `infotext`, too. Such a client sees no page, so
    that what was lost becomes a note of its picture; see `PASTED`.
    """
    PASTED.set(lambda: losses(params, page_units()))
    return any(UNIT_KEY.fullmatch(key) for key in params)


def losses(parameters: Mapping[str, object], count: int, sender: str = "") -> list[str]:
    """What a page of `count` units cannot take over from `parameters`, as parts of a sentence.

    sender: the number of the tab, as far as it is known.
    """
    lost = [*_lost_units(parameters, count)]
    for number in range(1, count + 1):
        written = read(parameters, TABLE, number)
        if written is not None:
            line = str(parameters[INFOTEXT_KEY.format(number)])
            lost += _lost_of_line(line, written, number)
            lost += _lost_pictures(written, number, sender)
    return lost


def _lost_units(parameters: Mapping[str, object], count: int) -> Iterator[str]:
    numbers = [UNIT_KEY.fullmatch(key) for key in parameters]
    names = [found[1] for found in numbers if found]
    beyond = [name for name in names if len(name) > 4 or not 1 <= int(name) <= count]
    if not beyond:
        return
    one = len(beyond) == 1
    listed = _listed([_short(name) for name in beyond])
    left_out = f"unit {listed} was" if one else f"units {listed} were"
    yield (
        f"the page has {count} unit{'' if count == 1 else 's'}, so {left_out} left out "
        f"(Settings > InstantStyle > {PAGE_UNITS_TITLE})"
    )


def _lost_of_line(line: str, written: Written, number: int) -> Iterator[str]:
    if len(line) > limits.INFOTEXT_CHARACTERS:
        yield (
            f"nothing of unit {number} was read, because its line has {len(line):,} characters and "
            f"up to {limits.INFOTEXT_CHARACTERS:,} are allowed"
        )
    if written.refused:
        yield f"unit {number} cannot have {_listed(written.refused)}"


def _listed(parts: Sequence[str]) -> str:
    more = len(parts) - _LISTED_MOST
    return ", ".join(parts[:_LISTED_MOST]) + (f" and {more} more" if more > 0 else "")


def _lost_pictures(written: Written, number: int, sender: str) -> Iterator[str]:
    instead = style_instead(written, sender)
    for name in TABLE.pictures:
        kept = find_kept(written.hashes.get(name, ""), sender)
        if kept.why and not (instead and name == "image"):
            title = REFERENCE if name == "image" else name
            yield (
                f"{title} {_short(kept.missing)} of unit {number} is {kept.why}: drop the picture "
                "again"
            )


def _short(text: str) -> str:
    return printable(text if len(text) <= 16 else f"{text[:15]}…")
