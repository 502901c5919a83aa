"""The saved styles as cards in the WebUI's extra networks."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lib_instantstyle import NAME
from lib_instantstyle.methods import TABLE
from lib_instantstyle.styles.library import SavedStyle, library
from lib_instantstyle.styles.tags import TAG

if TYPE_CHECKING:
    from lib_instantstyle.hosts.extra_networks import Card


def register_cards() -> None:
    """Add the tag and the cards to the extra networks; called before the page or the API starts."""
    from lib_instantstyle.hosts import extra_networks

    extra_networks.register_tag(NAME, TAG, library(TABLE).folder, cards)


def cards() -> Iterator[Card]:
    """One card for each saved style."""
    from lib_instantstyle.hosts.extra_networks import Card

    for style in library(TABLE).styles():
        yield Card(style.name, style.path, thumbnail_url(style), summary(style), details(style))


def thumbnail_url(style: SavedStyle) -> str:
    """The thumbnail as a data URL; "" if there is none."""
    picture = style.info.thumbnail
    return f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" if picture else ""


def summary(style: SavedStyle) -> str:
    """One line: which encoder made it, and how many references it holds."""
    count = len(style.info.references)
    return f"{style.info.encoder_title}, {count} reference{'' if count == 1 else 's'}"


def details(style: SavedStyle) -> dict[str, Any]:
    """What the style says of itself, as JSON: no picture, and no hash that tells one."""
    info = style.info
    return {
        "encoder": info.encoder,
        "encoder_kind": info.encoder_title,
        "serves": list(info.serves),
        "adapter": info.adapter,
        "references": len(info.references),
        "weights": list(info.weights),
        "created": info.created,
        "settings": dict(info.settings),
    }
