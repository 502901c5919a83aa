"""Which image encoder makes the feature that an adapter takes: matched by width, never by name."""

from __future__ import annotations

from collections.abc import Sequence

from lib_instantstyle.pure.catalog import AdapterFile, Catalog, ImageEncoderFile
from lib_instantstyle.pure.errors import MissingFileError
from lib_instantstyle.pure.image_encoder_kind import TITLES

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
        f"numbers, which was not found (found: {found}); put it into models/clip_vision."
    )
