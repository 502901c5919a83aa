"""What a unit would do with the chosen checkpoint, found out without generating or loading."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lib_instantstyle.content.text_encoders import FOLDER, wanted
from lib_instantstyle.errors import InstantStyleError, MissingFileError
from lib_instantstyle.hosts import model_folders
from lib_instantstyle.hosts.checkpoint import chosen_layers, chosen_text_width
from lib_instantstyle.methods import B_LORA, STYLE_ALIGNED, STYLEID, SWAP
from lib_instantstyle.methods.b_lora.method import describe
from lib_instantstyle.methods.ip_adapter.advice import advice
from lib_instantstyle.methods.styleid.fields import PUBLISHED, SAMPLER
from lib_instantstyle.models.catalog import Catalog, scan
from lib_instantstyle.models.clip_kind import TITLES
from lib_instantstyle.models.selection import Choice, choose, describe_layers
from lib_instantstyle.unet.inversion import exact_steps
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import layer_weights
from lib_instantstyle.units.block_map import block_map
from lib_instantstyle.units.unit import Unit

_EXACT = ", ".join(str(steps) for steps in exact_steps(100))
_STYLEID = (
    "StyleID needs no adapter and no image encoder: it takes the self-attention of the reference. "
    "It works in img2img; each picture first goes back to its noise, which takes a while. "
)
_LEVELS = {
    SAMPLER: "Noise levels are the sampler's; DDIM takes exactly as many as asked for with "
    f"{_EXACT} steps.",
    PUBLISHED: "Noise levels are the published code's: with 50 steps, 50 calls of the UNet on the "
    "way up to t = 999 and 49 on the way down from t = 961, which starts with the latent of 999. "
    f"Denoising strength must be 1, and steps one of {_EXACT}.",
}
_SHARED = (
    "{} needs no adapter and no image encoder: the picture attends to the reference {}. The "
    "reference first goes back to its noise, which takes a while. Without a reference the first "
    "picture of a batch is it."
)
_TO_DOWNLOAD = "Models to download, below, lists the usual ones."
_ON_SELF_ATTENTION = {
    STYLE_ALIGNED.name: _SHARED.format("StyleAligned", "as to itself"),
    SWAP.name: _SHARED.format("Swapped self-attention", "instead of itself"),
}


@dataclass(frozen=True)
class Outlook:
    """What to say of a unit, and what to draw."""

    text: str
    is_problem: bool
    block_map: dict[str, object] | None  # None where no blocks are chosen


def of(unit: Unit) -> Outlook:
    """The outlook of `unit`, its pictures aside.

    Raises InstantStyleError where not even the map can be drawn: no checkpoint of a known family,
    or block weights that do not fit it.
    """
    layers = chosen_layers()
    in_checkpoint = _blocks(layers, layers.by_number)
    drawn = block_map(layers.layout, unit, in_checkpoint)
    if unit.method == STYLEID.name:
        return Outlook(_STYLEID + _LEVELS[unit.schedule], False, None)
    if unit.method in _ON_SELF_ATTENTION:
        return Outlook(_ON_SELF_ATTENTION[unit.method], False, None)
    if unit.method == B_LORA.name:
        return Outlook(describe(unit, layers.layout), False, None)
    selected = layer_weights(unit, layers)
    if not selected:
        return Outlook("All weights are 0, so nothing of the style gets in.", False, drawn)
    catalog = scan(model_folders())
    try:
        choice = choose(unit.adapter, catalog, layers, selected)
    except InstantStyleError as error:
        sentence = str(error)[:1].upper() + str(error)[1:]
        if isinstance(error, MissingFileError):
            sentence += f" {_TO_DOWNLOAD}"
        return Outlook(sentence, True, drawn)
    held = _blocks(layers, choice.adapter.kind.layer_widths)
    drawn = block_map(layers.layout, unit, in_checkpoint, held)
    sentences = [
        _adapter(selected, choice, layers),
        _content(choice, catalog),
        advice(choice.adapter.kind, layers.layout, unit.preset),
    ]
    return Outlook(" ".join(filter(None, sentences)), False, drawn)


def _adapter(selected: Collection[int], choice: Choice, layers: UnetLayers) -> str:
    image_encoder = choice.image_encoder
    title = TITLES.get(image_encoder.kind.width, image_encoder.name)
    acting = len(selected) - len(choice.muted)
    said = (
        f"{choice.adapter.name} with image encoder {title} gets the style into {acting} of "
        f"{len(layers.by_number)} layers"
    )
    if choice.muted:
        said += f", and holds nothing for {describe_layers(choice.muted, layers)}"
    return f"{said}."


def _content(choice: Choice, catalog: Catalog) -> str:
    projection = choice.adapter.kind.projection
    if projection.takes_hidden_states:
        return "Content cannot be taken out: this kind of adapter sees patches, no image vector."
    width = projection.feature_width
    if chosen_text_width() == width:
        return "Content can be taken out by words, with the checkpoint's own text encoder."
    for file in catalog.text_encoders:
        if file.kind.embedding_width == width:
            return f"Content can be taken out by words, with the text encoder {file.name}."
    return f"To take out content by words, put {wanted(width)} into {FOLDER}."


def _blocks(layers: UnetLayers, numbers: Collection[int]) -> set[int]:
    return {
        layers.layout.by_number[number].block.index
        for number in numbers
        if number in layers.layout.by_number
    }
