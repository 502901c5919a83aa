"""Which adapter and which image encoder serve a unit: chosen by shapes.

For "auto", of the adapters that fit the loaded checkpoint and whose encoder is there, in this
order:

1. those that hold every selected layer, before those that mute some;
2. linear ones, before plus ones, before full-face ones: content can be subtracted from an image
   vector, and from nothing else;
3. those that take wider features: they tell more of the reference;
4. names that say face, composition or light last: the shapes of these are the stock adapters',
   their purpose is not style;
5. by name, so that the choice is the same every time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lib_instantstyle.errors import InstantStyleError, MissingFileError
from lib_instantstyle.models.adapter_kind import AdapterKind, LinearShape, MlpShape, ResamplerShape
from lib_instantstyle.models.catalog import AdapterFile, Catalog, ImageEncoderFile
from lib_instantstyle.models.clip_kind import TITLES
from lib_instantstyle.models.published import adapter_for, encoders_with
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.units.choices import AUTO

_STOCK_ADAPTERS = {"sdxl": "ip-adapter_sdxl.safetensors", "sd15": "ip-adapter_sd15.safetensors"}
_KINDS = (LinearShape, ResamplerShape, MlpShape)  # best first
_NAMED = 5  # refused files that a sentence lists at most
_OTHER_PURPOSES = ("face", "composition", "light")


@dataclass(frozen=True)
class Choice:
    """What serves a unit."""

    adapter: AdapterFile
    image_encoder: ImageEncoderFile
    muted: tuple[int, ...]  # selected layers, by adapter number, that the adapter does not hold


def choose(
    name: str, catalog: Catalog, layers: UnetLayers, numbers: Collection[int] | None = None
) -> Choice:
    """The adapter `name` (or, for "auto", the best that fits) and the image encoder for it.

    numbers: the layers that the unit selects; all if not given.
    Raises InstantStyleError that says what is missing and where to put it.
    """
    selected = layers.by_number.keys() if numbers is None else numbers
    if name != AUTO:
        adapter = catalog.adapter(name)
        check_adapter(adapter.name, adapter.kind, layers)
        muted = _muted(adapter, selected)
        if len(muted) == len(selected):
            raise InstantStyleError(
                f"adapter {adapter.name} holds none of the layers that the unit selects (it holds "
                f"{describe_layers(adapter.kind.layer_widths, layers)}); choose another adapter, "
                "or other blocks."
            )
        return Choice(adapter, image_encoder_for(adapter, catalog), muted)
    fitting = [adapter for adapter in catalog.adapters if _serves(adapter, layers, selected)]
    if not fitting:
        passed_over = ", ".join(name for name, _ in catalog.refused[:_NAMED])
        raise MissingFileError(
            f"no IP-Adapter for {layers.layout.title} that holds the selected layers was found"
            f"{f' (of no use were {passed_over})' if passed_over else ''}; put "
            f"{_STOCK_ADAPTERS[layers.layout.id]} into models/ControlNet or models/InstantStyle.",
            _to_download(layers, catalog),
        )
    fitting.sort(key=lambda adapter: _rank(adapter, selected))
    best = next((a for a in fitting if image_encoders_for(a, catalog)), fitting[0])
    return Choice(best, image_encoder_for(best, catalog), _muted(best, selected))


def _to_download(layers: UnetLayers, catalog: Catalog) -> list[str]:
    """The published adapter to start with, and its encoder if that is not here."""
    adapter = adapter_for(layers.layout.id)
    if adapter is None:
        return []
    widths = [file.kind.embedding_width for file in catalog.image_encoders]
    return [adapter.name, *(() if adapter.vectors in widths else encoders_with(adapter.vectors))]


def _rank(adapter: AdapterFile, selected: Collection[int]) -> tuple[object, ...]:
    projection = adapter.kind.projection
    hints = any(word in adapter.name.lower() for word in _OTHER_PURPOSES)
    return (
        bool(_muted(adapter, selected)),
        _KINDS.index(type(projection)),
        -projection.feature_width,
        hints,
        adapter.name,
    )


def _muted(adapter: AdapterFile, selected: Collection[int]) -> tuple[int, ...]:
    return tuple(number for number in selected if number not in adapter.kind.layer_widths)


def _serves(adapter: AdapterFile, layers: UnetLayers, selected: Collection[int]) -> bool:
    return fits(adapter, layers) and len(_muted(adapter, selected)) < len(selected)


# Whether an adapter fits a UNet, and its layers in words.


def check_adapter(name: str, kind: AdapterKind, layers: UnetLayers) -> None:
    """Raise InstantStyleError, saying why, if adapter `name` does not fit a UNet.

    An adapter may hold some of the layers only.
    """
    if why := _misfit(kind, layers):
        raise InstantStyleError(f"adapter {name} {why}")


def fits(adapter: AdapterFile, layers: UnetLayers) -> bool:
    """Whether `adapter` fits a UNet; see `check_adapter`."""
    return not _misfit(adapter.kind, layers)


def _misfit(kind: AdapterKind, layers: UnetLayers) -> str:
    """The end of a sentence about an adapter that does not fit a UNet; empty if it does."""
    layout = kind.layout
    if layout is not None and layout is not layers.layout:
        return (
            f"is made for {layout.title}, the loaded checkpoint is {layers.layout.title}; "
            f"choose an adapter for {layers.layout.title}, or auto."
        )
    if kind.context_width != layers.context_width:
        return (
            f"has tokens of width {kind.context_width}, the loaded checkpoint takes "
            f"{layers.context_width}; it was made for another family of checkpoints."
        )
    unknown = [number for number in kind.layer_widths if number not in layers.layout.by_number]
    if unknown:
        last = max(layers.layout.by_number)
        return (
            f"holds a layer {unknown[0]}, which {layers.layout.title} does not have; its layers "
            f"have the odd numbers from 1 to {last}."
        )
    for number, found in layers.by_number.items():
        if kind.layer_widths.get(number, found.width) != found.width:
            return (
                f"has width {kind.layer_widths[number]} in {found.layer.diffusers}, the loaded "
                f"checkpoint {found.width}."
            )
    return ""


def describe_layers(numbers: Collection[int], layers: UnetLayers) -> str:
    """Layers by block: "up_blocks.0.attentions.1, down_blocks.2.attentions.1 (3 of 10 layers)"."""
    parts = []
    for block in layers.layout.blocks:
        of_block = [n for n, found in layers.by_number.items() if found.layer.block is block]
        count = sum(1 for n in of_block if n in numbers)
        if count:
            some = "" if count == len(of_block) else f" ({count} of {len(of_block)} layers)"
            parts.append(block.diffusers + some)
    return ", ".join(parts) or "none of this checkpoint"


# Which image encoder makes the feature that an adapter takes: matched by width, never by name.

_BY_VECTOR = {768: "ViT-L/14", 1024: "ViT-H/14", 1280: "ViT-bigG/14"}  # by width of the vector
_TRAINED_SIZE = 224  # pixels at which adapters were trained; ViT-L/14 also comes with 336


def image_encoders_for(adapter: AdapterFile, catalog: Catalog) -> Sequence[ImageEncoderFile]:
    """The image encoders whose feature `adapter` takes, best first.

    Beware of 1280: it is the width of ViT-H's hidden states and of ViT-bigG's image vector.
    """
    projection = adapter.kind.projection
    serving = [
        file
        for file in catalog.image_encoders
        if projection.feature_width
        == (file.kind.width if projection.takes_hidden_states else file.kind.embedding_width)
    ]
    return sorted(serving, key=lambda file: file.kind.image_size != _TRAINED_SIZE)


def image_encoder_for(adapter: AdapterFile, catalog: Catalog) -> ImageEncoderFile:
    """The best of them.

    Raises MissingFileError that says which one is needed and what was found.
    """
    for file in image_encoders_for(adapter, catalog):
        return file
    projection = adapter.kind.projection
    width = projection.feature_width
    if projection.takes_hidden_states:
        known, feature = TITLES, "hidden states"
        made = [(file.name, file.kind.width) for file in catalog.image_encoders]
    else:
        known, feature = _BY_VECTOR, "vectors"
        made = [(file.name, file.kind.embedding_width) for file in catalog.image_encoders]
    encoder = f"{known[width]} " if width in known else ""
    found = ", ".join(f"{name} makes {count}" for name, count in made) or "none"
    raise MissingFileError(
        f"adapter {adapter.name} needs the CLIP image encoder {encoder}with {feature} of {width} "
        f"numbers, which was not found (found: {found}); put it into models/clip_vision.",
        encoders_with(hidden=width) if projection.takes_hidden_states else encoders_with(width),
    )
