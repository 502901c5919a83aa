"""The saved style that a unit names, and the adapter that can use it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.ip_adapter.colour_texture import stands_beside_style
from lib_instantstyle.models.catalog import AdapterFile, Catalog, ImageEncoderFile
from lib_instantstyle.models.selection import Choice, check_adapter, choose, image_encoders_for
from lib_instantstyle.references.views import has_negative_input
from lib_instantstyle.styles.file import Style, read_style
from lib_instantstyle.styles.header import check_combine
from lib_instantstyle.styles.library import SavedStyle, library
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.units.choices import AUTO, COLOUR, TEXTURE
from lib_instantstyle.units.unit import Unit


def saved_style(unit: Unit, context: Context, numbers: Collection[int]) -> tuple[Style, Choice]:
    """The style that `unit` names, and an adapter for it; no image encoder is needed.

    numbers: the adapter numbers of the unit's layers. Raises InstantStyleError if the style is
    missing, damaged or made with another encoder, or if a field of the unit needs the reference.
    """
    for field, needs in (
        ("reference_mask", unit.reference_mask is not None),
        ("noise", has_negative_input(unit) and unit.negative_image is None),
    ):
        if needs and not unit.image:
            raise InstantStyleError(
                f"{field} needs the picture that a style was made of, and style "
                f"{shorten(unit.style)} does not hold it; save the style with it, or leave it out."
            )
    catalog = context.catalog
    saved = library(unit.table).find(unit.style)
    _check_combine(unit, saved)
    maker = ImageEncoderFile(saved.info.encoder, saved.path, saved.info.kind)
    of_maker = replace(catalog, image_encoders=(maker,))
    choice = _choose(unit.adapter, saved, of_maker, context.known_layers, numbers)
    style = read_style(saved.path)
    _check_encoder(saved, style, choice.adapter, catalog)
    if unit.style_to and unit.style_mix:
        style = _mixed(unit, saved, style)
    return style, choice


def _mixed(unit: Unit, saved: SavedStyle, style: Style) -> Style:
    """`style` on its way to the one that `style_to` names. Raises InstantStyleError."""
    second = library(unit.table).find(unit.style_to)
    _check_combine(unit, second)
    other = read_style(second.path)
    counts = [len(each.info.references) for each in (saved, second)]
    problem = ""
    if not style.is_like(other):
        problem = f"was made with another image encoder, {_maker(second)}"
    elif saved.info.separates != second.info.separates:
        problem = f"holds what combine '{second.info.separates}' takes"
    elif counts[0] != counts[1]:
        problem = f"has {counts[1]} references and not {counts[0]}"
    if problem:
        raise InstantStyleError(
            f"style_to is {shorten(second.name)}, which {problem}; style {shorten(saved.name)} can "
            "be mixed with one of its own kind."
        )
    return style.towards(other, unit.style_mix)


def _check_combine(unit: Unit, saved: SavedStyle) -> None:
    """Raise InstantStyleError if the style holds other features than `combine` takes."""
    if not stands_beside_style(unit):
        check_combine(saved.info, saved.name, unit.combine)
    elif saved.info.separates not in (COLOUR, TEXTURE):
        raise InstantStyleError(
            f"combine is '{unit.combine}', and style {shorten(saved.name)} holds neither side by "
            "itself; beside a picture, a style that was saved with combine 'colour' or 'texture' "
            "is allowed."
        )


def _choose(
    name: str, saved: SavedStyle, catalog: Catalog, layers: UnetLayers, numbers: Collection[int]
) -> Choice:
    """As selection.choose, among the adapters that take the features of the style's encoder."""
    serving = tuple(adapter for adapter in catalog.adapters if image_encoders_for(adapter, catalog))
    if name != AUTO:
        adapter = catalog.adapter(name)
        if adapter not in serving:
            projection = adapter.kind.projection
            feature = "hidden states" if projection.takes_hidden_states else "vectors"
            raise InstantStyleError(
                f"style {shorten(saved.name)} was made with the image encoder {_maker(saved)}, but "
                f"adapter {adapter.name} takes {feature} of {projection.feature_width} numbers "
                "from another one; choose auto, or an adapter for that encoder."
            )
    elif not any(_fits(adapter, layers) for adapter in serving):
        found = ", ".join(adapter.name for adapter in catalog.adapters) or "none"
        raise InstantStyleError(
            f"style {shorten(saved.name)} was made with the image encoder {_maker(saved)}, and no "
            f"adapter that takes what it makes and fits the loaded checkpoint was found (found: "
            f"{found})."
        )
    return choose(name, replace(catalog, adapters=serving), layers, numbers)


def _check_encoder(saved: SavedStyle, style: Style, adapter: AdapterFile, catalog: Catalog) -> None:
    """Raise InstantStyleError if the adapter's encoder has other weights than the style's.

    Two encoders of one shape may have different weights; the style's features are then useless.
    """
    present = image_encoders_for(adapter, catalog)
    if present and not any(style.is_by(image_encoder) for image_encoder in present):
        raise InstantStyleError(
            f"style {shorten(saved.name)} was made with the image encoder {_maker(saved)}, which "
            f"has other weights than {present[0].name}, the one here for adapter {adapter.name}; "
            "make the style again from its reference."
        )


def _fits(adapter: AdapterFile, layers: UnetLayers) -> bool:
    try:
        check_adapter(adapter.name, adapter.kind, layers)
    except InstantStyleError:
        return False
    return True


def _maker(saved: SavedStyle) -> str:
    """The image encoder of `saved` as sentences name it: its file, and its kind if well known."""
    info = saved.info
    title = info.encoder_title
    return info.encoder if title == info.encoder else f"{info.encoder} ({title})"
