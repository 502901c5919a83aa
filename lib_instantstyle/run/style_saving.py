"""Saving the references and settings of a unit as a style."""

from __future__ import annotations

from dataclasses import replace

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.own_files import create_file, write_file
from lib_instantstyle.hosts import loaded_checkpoint
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.live import queue_lock
from lib_instantstyle.methods import load
from lib_instantstyle.references.unit_pictures import pictures_of
from lib_instantstyle.styles.file import Style, read_style, write_style
from lib_instantstyle.styles.header import check_combine, now, settings_of
from lib_instantstyle.styles.library import SavedStyle, library
from lib_instantstyle.styles.names import check_name
from lib_instantstyle.units.unit import Unit


def save_style(unit: Unit, name: str, replacing: bool = False) -> SavedStyle:
    """Save references and settings of `unit` as the style `name`.

    replacing: whether a style of that name is replaced.

    The image encoder is that of the unit's adapter; `auto` chooses it for the loaded checkpoint.
    The features include the unit's crop, reference_mask, noise and negative_image, but no mask.
    Waits for the WebUI's queue lock.
    Raises InstantStyleError: a name that is taken or not allowed, a unit without reference, a file
    that is missing, a folder that cannot be written to.
    """
    if not unit.declared.takes_styles:
        usual = unit.table.usual_method
        raise InstantStyleError(
            f"method {unit.method} works on the picture itself; a style is saved for {usual}."
        )
    styles = library(unit.table)
    clean = check_name(name) if replacing else styles.free_name(name)
    style = _resaved(unit) if unit.style else _encoded(unit)
    if replacing:
        return styles.put(clean, lambda path: write_style(path, style, write_file))
    return styles.add(clean, lambda path: write_style(path, style, create_file), "saved")


def _resaved(unit: Unit) -> Style:
    """The features of the unit's saved style with the settings of the unit."""
    if unit.image:
        raise InstantStyleError(
            f"the unit has a reference beside the style {shorten(unit.style)}, and a style is "
            "saved from one of them; clear the other."
        )
    saved = library(unit.table).find(unit.style)
    check_combine(saved.info, saved.name, unit.combine)
    style = read_style(saved.path)
    info = replace(style.info, settings=settings_of(unit), created=now())
    return replace(style, info=info)


def _encoded(unit: Unit) -> Style:
    beforehand = Context(None)
    pictures_of(unit, beforehand)  # addresses are waited for here, and not with the lock held
    with queue_lock():  # this may load the checkpoint, or meet a running generation
        context = Context.of(loaded_checkpoint())
        context.kept = beforehand.kept
        return load(unit.method).style_of(unit, context)
