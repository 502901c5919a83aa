"""Everything about a unit that can be found out without loading a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import Host
from lib_instantstyle.methods.ip_adapter.saved_style import saved_style
from lib_instantstyle.models.catalog import Catalog
from lib_instantstyle.models.selection import Choice, choose, describe_layers
from lib_instantstyle.references.unit_pictures import NoReference, UnitPictures, pictures_of
from lib_instantstyle.references.views import has_negative_input
from lib_instantstyle.styles.file import Style
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import layer_weights
from lib_instantstyle.units.presets import BlockWeight
from lib_instantstyle.units.unit import Unit


@dataclass(frozen=True)
class CheckedUnit:
    """A unit with its pictures, its files and its layers."""

    unit: Unit
    pictures: UnitPictures
    choice: Choice  # its image_encoder is the one that made the style, if there is a style
    block_weights: Mapping[
        int, BlockWeight
    ]  # by adapter number N, of layers that the adapter holds
    style: Style | None = None  # instead of references


def check(unit: Unit, layers: UnetLayers, catalog: Catalog, host: Host) -> CheckedUnit | None:
    """Check `unit` against the UNet and the files that are there; None if it adds nothing.

    Raises InstantStyleError, naming the unit, for anything that cannot be had.
    """
    with naming(unit):
        block_weights = layer_weights(unit, layers)
        if not block_weights:
            return None  # all weights are zero: nothing to add, nothing to check
        pictures = pictures_of(unit, host)
        style = None
        if unit.style:
            style, choice = saved_style(unit, catalog, layers, block_weights)
            pictures = replace(pictures, weights=style.info.weights)
        else:
            choice = choose(unit.adapter, catalog, layers, block_weights)
        held = {
            number: block_weight
            for number, block_weight in block_weights.items()
            if number not in choice.muted
        }
        return CheckedUnit(unit, pictures, choice, held, style)


def remarks(checked: CheckedUnit, layers: UnetLayers, cfg_scale: float) -> list[str]:
    """What the user should be told beside the picture."""
    said = []
    adapter, muted = checked.choice.adapter, checked.choice.muted
    if muted:
        said.append(
            f"adapter {adapter.name} holds nothing for {describe_layers(muted, layers)}; "
            "this part stays without style."
        )
    unit = checked.unit
    swapped = any(block_weight.negated for block_weight in checked.block_weights.values())
    if cfg_scale == 1 and (swapped or unit.negative_weight != 1 or has_negative_input(unit)):
        said.append(
            "at CFG scale 1 there is no negative prompt, so that precise presets, boost, "
            "negative_weight, negative_image and noise do nothing."
        )
    return said


@contextmanager
def naming(unit: Unit) -> Iterator[None]:
    """Put the unit's number, or its tag, before an error."""
    try:
        yield
    except NoReference:
        raise
    except InstantStyleError as error:
        raise InstantStyleError(f"{unit.title}: {error}") from error
