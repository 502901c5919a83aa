"""The errors whose text the user reads, and what may stand in their sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Control characters would move a terminal's cursor or end a line of infotext, halves of a
# surrogate pair (a file name that is not UTF-8 has them) fit no encoding, and marks of direction
# turn the rest of a line round.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FOLDERS = r"(?:[A-Za-z]:|file:/)?[\\/]"
_QUOTED_PATH = re.compile(rf"""'{_FOLDERS}[^']*[\\/]|"{_FOLDERS}[^"]*[\\/]""")
_PATH = re.compile(r"""(?<![\w:/\\.])(?:[A-Za-z]:|file:/)?[\\/](?:[^\s'"\\/]+[\\/])+""")


class InstantStyleError(ValueError):
    """A request that cannot be fulfilled.

    Its text is one sentence for the user: it names the field or file, its value, and what is
    allowed. hosts/refusal.py turns it into an HTTP 422 or a message on the page.
    """

    def __init__(self, sentence: str = "") -> None:
        super().__init__(printable(sentence))


class MissingFileError(InstantStyleError):
    """A model file that is needed is in none of the folders.

    files: names of published ones that would mend it; see models/published.py.
    """

    def __init__(self, sentence: str = "", files: Sequence[str] = ()) -> None:
        super().__init__(sentence)
        self.files = tuple(files)


class NoReference(InstantStyleError):
    """A unit is on but has no reference; the sentence names the unit itself."""


def shorten(value: object, limit: int = 60) -> str:
    """`value` for use in a sentence: its repr on one line, cut to `limit` characters."""
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def printable(text: str) -> str:
    """`text` on one line that every output can hold; what none may hold becomes an escape."""
    return _UNPRINTABLE.sub(_escape, text)


def is_encodable(text: str) -> bool:
    """Whether `text` can be written at all: half of a surrogate pair, as JSON may hold, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def reason(error: BaseException) -> str:
    """What `error` says, on one line and without the folders of this machine."""
    if isinstance(error, OSError) and error.strerror:
        return printable(str(error.strerror))
    text = " ".join(str(error).split())
    return printable(_PATH.sub("", _QUOTED_PATH.sub(lambda found: found[0][0], text)))


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no part of UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return found[0].encode("unicode_escape").decode("ascii")
