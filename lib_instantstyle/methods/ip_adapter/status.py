"""The status line of a unit: its adapter, the layers it acts in, and weights to start from.

Sources of the weights: InstantStyle's own settings (weight 1 in the style block), IP-Adapter's
README (0.5 to 0.8 where all blocks act beside a prompt), IPAdapter plus's README for the precise
presets.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lib_instantstyle.content.removal import describe_mode
from lib_instantstyle.content.subtraction import takes_content_out
from lib_instantstyle.content.text_encoders import FOLDER, wanted
from lib_instantstyle.errors import InstantStyleError, MissingFileError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.layout import SDXL, Layout
from lib_instantstyle.methods.base import StatusText
from lib_instantstyle.methods.ip_adapter.purify import in_status
from lib_instantstyle.models.adapter_kind import AdapterKind, LinearShape
from lib_instantstyle.models.clip_kind import TITLES
from lib_instantstyle.models.published import encoders_with
from lib_instantstyle.models.selection import Choice, choose, describe_layers
from lib_instantstyle.session import SESSION
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.plan import layer_weights
from lib_instantstyle.units.block_map import block_map
from lib_instantstyle.units.choices import AUTO
from lib_instantstyle.units.unit import Unit

_PRECISE = {
    ("style precise", SDXL.id): "weight 1 and 2 away from the rest",
    ("style precise", "sd15"): "weight a little above 1, and 0 away from the rest",
    ("layout precise", SDXL.id): "weight 0.8 and 0.3 away from the rest",
    ("layout precise", "sd15"): "weight 0.6 and 0.35 away from the rest",
}
_MANY_BLOCKS = ("original", "strong style", "strong style+composition")


class LastAuto:
    """Which adapter `auto` took for the last picture, by layout: a new file may change that."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}


class _TextWidth:
    """The width of the chosen checkpoint's text vectors; its file is read once for a request."""

    def __init__(self) -> None:
        from lib_instantstyle.hosts.checkpoint import chosen_text_width  # needs the WebUI itself

        self.width = chosen_text_width()


def describe(unit: Unit, context: Context) -> StatusText:
    """See Method.describe."""
    layers = context.known_layers
    in_checkpoint = _blocks(layers, layers.by_number)
    drawn = block_map(layers.layout, unit, in_checkpoint)
    selected = layer_weights(unit, layers)
    if not selected:
        text = "All weights are 0, so nothing of the style gets in."
        return StatusText(text, True, drawn)
    try:
        choice = choose(unit.adapter, context.catalog, layers, selected)
    except InstantStyleError as error:
        sentence = str(error)[:1].upper() + str(error)[1:]
        missing = error.files if isinstance(error, MissingFileError) else None
        return StatusText(sentence, True, drawn, missing)
    held = _blocks(layers, choice.adapter.kind.layer_widths)
    drawn = block_map(layers.layout, unit, in_checkpoint, held)
    about_content, files = _about_content(unit, choice, context)
    if files is not None and takes_content_out(unit):
        return StatusText(about_content, True, drawn, files)
    sentences = [
        _what_gets_in(selected, choice, layers),
        in_status(unit) if unit.purify else "",
        _about_auto(unit, choice, layers),
        about_content,
        advice(choice.adapter.kind, layers.layout, unit.preset),
    ]
    return StatusText(" ".join(filter(None, sentences)), False, drawn)


def _what_gets_in(selected: Collection[int], choice: Choice, layers: UnetLayers) -> str:
    encoder = choice.image_encoder
    title = TITLES.get(encoder.kind.width, encoder.name)
    acting = len(selected) - len(choice.muted)
    text = (
        f"{choice.adapter.name} with image encoder {title} gets the style into {acting} of "
        f"{len(layers.by_number)} layers"
    )
    if choice.muted:
        text += f", and holds nothing for {describe_layers(choice.muted, layers)}"
    return f"{text}."


def _about_auto(unit: Unit, choice: Choice, layers: UnetLayers) -> str:
    last = SESSION.of(LastAuto).names.get(layers.layout.id)
    if unit.adapter != AUTO or unit.style or last in (None, choice.adapter.name):
        return ""
    return f"For the last picture auto took {last}; choose it by its name to have it again."


def _about_content(
    unit: Unit, choice: Choice, context: Context
) -> tuple[str, Sequence[str] | None]:
    """A sentence; and, if no text encoder is there, the published files that have one."""
    projection = choice.adapter.kind.projection
    if projection.takes_hidden_states:
        text = "Content cannot be taken out: this kind of adapter sees patches, no image vector."
        return text, None
    width = projection.feature_width
    if context.kept.of(_TextWidth).width == width:
        reader = "the checkpoint's own text encoder"
        return _readable(unit, width, reader)
    for file in context.catalog.text_encoders:
        if file.kind.embedding_width == width:
            reader = f"the text encoder {file.name}"
            return _readable(unit, width, reader)
    text = f"To take out content by words, put {wanted(width)} into {FOLDER}."
    return text, encoders_with(width, has_text=True)


def _readable(unit: Unit, width: int, reader: str) -> tuple[str, None]:
    text = f"Content can be taken out by words, with {reader}. {describe_mode(unit, width)}"
    return text, None


def _blocks(layers: UnetLayers, numbers: Collection[int]) -> set[int]:
    return {
        layers.layout.by_number[number].block.index
        for number in numbers
        if number in layers.layout.by_number
    }


def advice(kind: AdapterKind, layout: Layout, preset: str) -> str:
    """One sentence with weights to start from."""
    values = _PRECISE.get((preset, layout.id))
    if values is None:
        if preset in _MANY_BLOCKS:
            values = "weight 0.5 to 0.8, because content comes along"
        elif isinstance(kind.projection, LinearShape):
            values = "weight 1" if layout is SDXL else "weight 1, up to 1.5 for more of the style"
        else:
            values = "weight 0.6 to 1, for this kind of adapter sees more of the reference"
    return f"Start from {values}."
