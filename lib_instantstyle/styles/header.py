"""The description of a saved style, read from the header of its file alone.

A style is a .safetensors file with two entries in its metadata, METADATA_KEY and THUMBNAIL, and
these tensors, for n references and an image encoder with N tokens of width W and vectors of
width E:

    image_vectors [n + 1, E]     for linear adapters; absent if the encoder has no projection
    hidden_states [n + 1, N, W]  for plus and full-face adapters
    fingerprint   [W]            the encoder's class embedding, by which it is recognised

The last row is for negative-prompt rows. A style saved with a `combine` of SEPARATED has two rows
for each reference: the picture and its grey copy, or the grey copy and a flat one.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, printable, shorten
from lib_instantstyle.files.json_text import read_json
from lib_instantstyle.files.model_file import read_header
from lib_instantstyle.files.safetensors_header import Header
from lib_instantstyle.files.tensor_info import FLOATING
from lib_instantstyle.models.clip_kind import TITLES, ImageEncoderKind
from lib_instantstyle.units.choices import SEPARATED
from lib_instantstyle.units.unit import Table, Unit
from lib_instantstyle.units.values import REFERENCE_WEIGHT

METADATA_KEY, THUMBNAIL = "instantstyle_style", "instantstyle_thumbnail"
VECTORS, HIDDEN, FINGERPRINT = "image_vectors", "hidden_states", "fingerprint"
VERSION = 1
# Fields whose effect is part of the image embeds already.
IN_FEATURES = ("crop", "sharpening", "noise", "noise_strength", "noise_blur")
NEEDS_PICTURE = (*IN_FEATURES, "palette")  # fields of a unit that a style cannot stand for
_NOT_SETTINGS = ("enabled", "style", "style_to", "style_mix", *NEEDS_PICTURE)


@dataclass(frozen=True)
class StyleInfo:
    """A saved style, without its tensors."""

    encoder: str  # the image encoder's name where the style was made
    kind: ImageEncoderKind
    adapter: str  # the adapter that was in use
    references: tuple[str, ...]  # SHA-256 of each picture
    weights: tuple[float, ...]  # of each reference
    created: str  # UTC, such as 2024-05-31T12:00:00Z
    settings: Mapping[str, Any] = field(default_factory=dict)  # fields of a unit, as JSON
    thumbnail: bytes = b""  # JPEG

    @property
    def encoder_title(self) -> str:
        """Such as "ViT-H/14"; the file's name for an encoder that is not well known."""
        return TITLES.get(self.kind.width, self.encoder)

    @property
    def separates(self) -> str:
        """The `combine` of a style whose features are those of colours or texture; else ""."""
        combine = self.settings.get("combine")
        return combine if combine in SEPARATED else ""

    @property
    def serves(self) -> tuple[str, ...]:
        """The kinds of adapters that can use it."""
        return ("linear", "plus") if self.kind.embedding_width else ("plus",)


def now() -> str:
    """The current time in UTC, in the format of StyleInfo.created."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def settings_of(unit: Unit) -> dict[str, Any]:
    """The fields of `unit` that differ from their defaults, as JSON values.

    Without its pictures, and without the fields whose effect is in the image embeds.
    """
    changed = {
        name: getattr(unit, name) for name in setting_names(unit.table) if unit.differs(name)
    }
    return {k: v if isinstance(v, (bool, int, float)) else str(v) for k, v in changed.items()}


def check_settings(info: StyleInfo, table: Table, name: str) -> None:
    """Raise InstantStyleError if a unit cannot have the settings of the style `name`."""
    problem = ""
    if not info.settings.keys() <= set(setting_names(table)):
        problem = "its settings are no fields of a unit"
    try:
        table.parse_unit({**info.settings} if not problem else {})
        # What a parser makes nothing of, such as spaces, is listed as it stands in the file.
        json.dumps(info.settings, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        problem = shorten(str(error).removeprefix("unit 1: ").removesuffix("."), 100)
    if problem:
        raise InstantStyleError(f"{name} is no sound style ({problem}); get it again.")


def check_combine(info: StyleInfo, name: str, combine: str) -> None:
    """Raise InstantStyleError if the style `name` holds other features than `combine` takes."""
    kept, wanted = info.separates, combine if combine in SEPARATED else ""
    if kept == wanted:
        return
    if wanted:
        lacks = f"holds what '{kept}' takes" if kept else "holds no grey copy of its reference"
        raise InstantStyleError(
            f"combine is '{wanted}', and style {shorten(name)} {lacks}; save a style with this "
            "combine, or give the picture."
        )
    raise InstantStyleError(
        f"style {shorten(name)} holds what combine '{kept}' takes, and nothing else; set combine "
        "to it."
    )


def metadata_of(info: StyleInfo) -> dict[str, str]:
    """The metadata of a style file."""
    content = {f.name: getattr(info, f.name) for f in fields(info) if f.name != "thumbnail"}
    content |= {"version": VERSION, "kind": asdict(info.kind)}
    return {METADATA_KEY: json.dumps(content), THUMBNAIL: base64.b64encode(info.thumbnail).decode()}


def read_info(path: Path) -> StyleInfo | None:
    """The description in the style file `path`; None if it is no style of ours.

    Raises InstantStyleError if it is one and damaged, OSError if it cannot be read.
    """
    size = path.stat().st_size
    header = read_header(path)
    if METADATA_KEY not in header.metadata:
        return None
    if size > limits.STYLE_BYTES:
        raise InstantStyleError(
            f"{path.name} has {size:,} bytes; a style has up to {limits.STYLE_BYTES:,}."
        )
    try:
        info = _info(header)
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InstantStyleError(
            f"{path.name} is no sound style ({shorten(str(error), 100)}); get it again."
        ) from error
    for name, shape in shapes_of(info).items():
        found = header.tensors.get(name)
        if found is None or found.shape != shape or found.dtype not in FLOATING:
            actual = "missing" if found is None else f"{found.dtype} of shape {found.shape}"
            raise InstantStyleError(
                f"{path.name} is no sound style: {name} is {actual}, shape {shape} is needed; get "
                "it again."
            )
    return info


def shapes_of(info: StyleInfo) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in the file of the style `info`, by name."""
    # Colours and texture are two features each; see methods/ip_adapter/colour_texture.py.
    kind, count = info.kind, len(info.references) * (2 if info.separates else 1)
    tokens = (kind.image_size // kind.patch) ** 2 + 1
    shapes: dict[str, tuple[int, ...]] = {
        HIDDEN: (count + 1, tokens, kind.width),
        FINGERPRINT: (kind.width,),
    }
    return shapes | ({VECTORS: (count + 1, kind.embedding_width)} if kind.embedding_width else {})


def setting_names(table: Table) -> list[str]:
    """The fields that a style's settings may have; those that it lacks have their defaults."""
    return [name for name in table.page_fields if name not in _NOT_SETTINGS]


def _info(header: Header) -> StyleInfo:
    content = read_json(header.metadata[METADATA_KEY])
    if content["version"] != VERSION:
        raise ValueError(f"it is of version {content['version']!r}, {VERSION} is known")
    settings = content["settings"]
    if not isinstance(settings, dict):
        raise ValueError("its settings are no fields of a unit")
    references = tuple(_text(reference, 64) for reference in content["references"])
    weights = tuple(_weight(weight) for weight in content["weights"])
    if not 0 < len(references) == len(weights) <= limits.REFERENCES:
        raise ValueError(f"it has {len(references)} references")
    return StyleInfo(
        encoder=_text(content["encoder"], 255),
        kind=_kind(content["kind"]),
        adapter=_text(content["adapter"], 255),
        references=references,
        weights=weights,
        created=_text(content["created"], 32),
        settings=settings,
        thumbnail=_thumbnail(header.metadata.get(THUMBNAIL, "")),
    )


def _weight(value: object) -> float:
    if type(value) not in (int, float) or not abs(value) <= REFERENCE_WEIGHT:  # type: ignore
        raise ValueError(f"the weight of a reference is {shorten(value, 20)}")
    return float(value)  # type: ignore[arg-type]


def _text(value: object, limit: int) -> str:
    if not isinstance(value, str) or len(value) > limit or printable(value) != value:
        raise ValueError(f"{shorten(value, 30)} is no text of up to {limit} characters")
    return value


def _kind(content: Any) -> ImageEncoderKind:
    names = {f.name for f in fields(ImageEncoderKind)}
    if not isinstance(content, dict) or content.keys() != names:
        raise ValueError("its encoder is not described")
    kind = ImageEncoderKind(**content)
    numbers = asdict(kind)
    _text(numbers.pop("layout"), 32)
    for name, number in numbers.items():
        lowest = 0 if name == "embedding_width" else 1
        if type(number) is not int or not lowest <= number <= limits.ENCODER_NUMBER:
            raise ValueError(f"its encoder's {name} is {shorten(number, 20)}")
    return kind


def _thumbnail(text: str) -> bytes:
    if len(text) > limits.THUMBNAIL_BYTES * 4 // 3 + 4:
        raise ValueError("its thumbnail is too large")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("its thumbnail is no base64") from None
