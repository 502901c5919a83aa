"""From a unit with references to a saved style."""

from __future__ import annotations

from dataclasses import replace

from lib_instantstyle.errors import InstantStyleError, reason, shorten
from lib_instantstyle.hosts import loaded_checkpoint, queue_lock
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods import load
from lib_instantstyle.styles.file import Style, read_style, write_style
from lib_instantstyle.styles.header import now, settings_of
from lib_instantstyle.styles.library import SavedStyle, library
from lib_instantstyle.units.unit import Unit


def save_style(unit: Unit, name: str) -> SavedStyle:
    """Save references and settings of `unit` as the style `name`.

    The encoder is the one that the unit's adapter takes, for `auto` with the loaded checkpoint.
    What the unit does to its references (crop, reference_mask, noise) and its negative_image are in
    the features; a mask is no part of a style. Waits for the WebUI's queue lock.
    Raises InstantStyleError: a name that is taken or not allowed, a unit without reference, a file
    that is missing, a folder that cannot be written to.
    """
    if not unit.declared.takes_styles:
        usual = unit.table.usual_method
        raise InstantStyleError(
            f"method {unit.method} works on the picture itself; a style is saved for {usual}."
        )
    styles = library(unit.table)
    clean = styles.free_name(name)
    style = _kept(unit) if unit.style else _encoded(unit)
    try:
        write_style(styles.path_of(clean), style)
    except OSError as error:
        raise InstantStyleError(
            f"style {shorten(clean)} cannot be saved ({reason(error)})."
        ) from error
    return styles.find(clean)


def _kept(unit: Unit) -> Style:
    """The features of a style that is there already, with other settings."""
    style = read_style(library(unit.table).find(unit.style).path)
    info = replace(style.info, settings=settings_of(unit), created=now())
    return replace(style, info=info)


def _encoded(unit: Unit) -> Style:
    with queue_lock():  # the checkpoint may be loaded now, and a generation may be under way
        return load(unit.method).style_of(unit, Context.of(loaded_checkpoint()))
