"""The handlers of the GET routes: lists of models, styles, presets and blocks, without paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lib_instantstyle import NAME, __version__
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import model_folders
from lib_instantstyle.layout import LAYOUTS
from lib_instantstyle.methods import TABLE
from lib_instantstyle.models.catalog import AdapterFile, Catalog, scan
from lib_instantstyle.styles.library import SavedStyle, library
from lib_instantstyle.units.presets import PRESETS, Preset

if TYPE_CHECKING:
    from lib_instantstyle.unet.layers import UnetLayers

Listing = dict[str, Any]


def version() -> Listing:
    """Name and version of the extension."""
    return {"name": NAME, "version": __version__}


def adapters() -> Listing:
    """The IP-Adapters and image encoders found, and the files refused, each with its problem."""
    from lib_instantstyle.hosts.checkpoint import chosen_layers

    catalog = scan(model_folders())
    layers: UnetLayers | InstantStyleError
    try:
        layers = chosen_layers()
    except InstantStyleError as error:
        layers = error
    return {
        "adapters": [_adapter(file, catalog, layers) for file in catalog.adapters],
        "encoders": [
            {"name": file.name, "vector": file.kind.embedding_width, "hidden": file.kind.width}
            for file in catalog.image_encoders
        ],
        "refused": [{"name": name, "problem": text} for name, text in catalog.refused],
    }


def _adapter(
    file: AdapterFile, catalog: Catalog, layers: UnetLayers | InstantStyleError
) -> Listing:
    from lib_instantstyle.models.selection import choose

    encoder, problem = None, None
    try:
        if isinstance(layers, InstantStyleError):
            raise layers
        encoder = choose(file.name, catalog, layers).image_encoder.name
    except InstantStyleError as error:
        problem = str(error)
    layout = file.kind.layout
    return {
        "name": file.name,
        "kind": file.kind.projection.title,
        "layout": layout.id if layout else None,
        "layers": len(file.kind.layer_widths),
        "encoder": encoder,
        "problem": problem,  # with the chosen checkpoint
    }


def presets() -> Listing:
    """The presets; for each of their blocks the factor, and the weight that it multiplies."""
    return {"presets": [_preset(preset) for preset in PRESETS.values()]}


def _preset(preset: Preset) -> Listing:
    return {
        "id": preset.id,
        "summary": preset.summary,
        "origin": preset.origin,
        "blocks": {
            layout: [
                {
                    "index": index,
                    "name": LAYOUTS[layout].blocks[index].diffusers,
                    "factor": factor.factor,
                    "of": factor.multiplies,
                }
                for index, factor in weight_factors.items()
            ]
            for layout, weight_factors in preset.weight_factors.items()
        },
    }


def styles() -> Listing:
    """The saved styles, and the files refused, each with its problem."""
    saved = library(TABLE)
    return {
        "styles": [style_listing(style) for style in saved.styles()],
        "refused": [{"name": name, "problem": text} for name, text in saved.refused()],
    }


def style_listing(style: SavedStyle) -> Listing:
    """One saved style."""
    return {
        "name": style.name,
        "encoder": style.info.encoder_title,
        "serves": list(style.info.serves),
        "references": len(style.info.references),
        "created": style.info.created,
        "settings": dict(style.info.settings),
    }


def blocks() -> Listing:
    """The transformers of the chosen checkpoint, in call order.

    Raises InstantStyleError if there is no checkpoint, or it is neither SD1.5 nor SDXL.
    """
    from lib_instantstyle.hosts.checkpoint import chosen_layers, chosen_name

    layers = chosen_layers()
    present = [found.layer.block.index for found in layers.by_number.values()]
    return {
        "checkpoint": chosen_name(),
        "layout": layers.layout.id,
        "blocks": [
            {
                "index": block.index,
                "name": block.diffusers,
                "ldm": block.ldm,
                "part": block.part,
                "layers": present.count(block.index),
            }
            for block in layers.layout.blocks
            if block.index in present
        ],
    }
