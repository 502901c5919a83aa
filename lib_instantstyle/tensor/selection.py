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

from collections.abc import Collection
from dataclasses import dataclass

from lib_instantstyle.pure.catalog import AdapterFile, Catalog, ImageEncoderFile
from lib_instantstyle.pure.choices import AUTO
from lib_instantstyle.pure.errors import InstantStyleError, MissingFileError
from lib_instantstyle.pure.projection_shapes import LinearShape, MlpShape, ResamplerShape
from lib_instantstyle.tensor.compatibility import check_adapter, describe_layers
from lib_instantstyle.tensor.encoder_match import image_encoder_for, image_encoders_for
from lib_instantstyle.tensor.unet import UnetLayers

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
    fitting = [adapter for adapter in catalog.adapters if _fits(adapter, layers, selected)]
    if not fitting:
        passed_over = ", ".join(name for name, _ in catalog.refused[:_NAMED])
        raise MissingFileError(
            f"no IP-Adapter for {layers.layout.title} that holds the selected layers was found"
            f"{f' (of no use were {passed_over})' if passed_over else ''}; put "
            f"{_STOCK_ADAPTERS[layers.layout.id]} into models/ControlNet or models/InstantStyle."
        )
    fitting.sort(key=lambda adapter: _rank(adapter, selected))
    best = next((a for a in fitting if image_encoders_for(a, catalog)), fitting[0])
    return Choice(best, image_encoder_for(best, catalog), _muted(best, selected))


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


def _fits(adapter: AdapterFile, layers: UnetLayers, selected: Collection[int]) -> bool:
    try:
        check_adapter(adapter.name, adapter.kind, layers)
    except InstantStyleError:
        return False
    return len(_muted(adapter, selected)) < len(selected)
