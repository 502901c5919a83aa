"""Names of saved styles, which must be file names on every system, and arguments of a tag."""

from __future__ import annotations

import unicodedata

from lib_instantstyle.errors import InstantStyleError, shorten

LENGTH = 60  # characters, of up to 4 bytes each: file systems end at 255 with the ending
_UNTRIMMED = 1024  # characters with spaces around them, and with accents not composed yet
_MARKS = " -_.()'&+!"
_DEVICES = {"con", "prn", "aux", "nul"} | {
    f"{d}{n}" for d in ("com", "lpt") for n in "0123456789¹²³"
}
_ALLOWED = f"up to {LENGTH} letters, digits, spaces and {' '.join(_MARKS.strip())}"


def check_name(name: str) -> str:
    """`name` in its form on disk: without spaces around it, in Unicode's composed form (NFC).

    Raises InstantStyleError if some file system, or a tag, could not hold it.
    """
    # Accents are composed in the square of how many stand behind one letter.
    clean = unicodedata.normalize("NFC", name).strip() if len(name) <= _UNTRIMMED else ""
    if not 0 < len(clean) <= LENGTH or not all(map(_is_allowed, clean)):
        raise InstantStyleError(f"the name {shorten(name)} is not allowed; {_ALLOWED} are.")
    if clean.startswith(".") or clean.endswith("."):
        raise InstantStyleError(
            f"the name {shorten(name)} is not allowed; it must not begin or end with a dot."
        )
    if clean.partition(".")[0].strip().casefold() in _DEVICES:
        raise InstantStyleError(
            f"the name {shorten(name)} is not allowed, because Windows keeps it for a device; "
            "choose another one."
        )
    return clean


def same_name(name: str) -> str:
    """A key that is equal for names that some file system takes for the same."""
    name = name[:_UNTRIMMED]  # nothing in a folder has a longer one
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).strip()


def _is_allowed(character: str) -> bool:
    """Letters, combining marks and digits of any script, and marks that every system allows."""
    return character in _MARKS or unicodedata.category(character)[0] in "LMN"
