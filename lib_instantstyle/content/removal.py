"""What a unit takes out of a reference, in numbers and in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from lib_instantstyle.content.modes import mask_size, masked_elements
from lib_instantstyle.content.similarity import cosines
from lib_instantstyle.content.subtraction import (
    ContentReader,
    content_texts,
    takes_content_out,
)
from lib_instantstyle.content.suggestions import Vocabulary
from lib_instantstyle.content.text_encoders import ContentSource
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.units.choices import MASK
from lib_instantstyle.units.unit import Unit


@dataclass(frozen=True)
class Similarity:
    """Cosines, -1 to 1, of the reference's image vector with one text of the content."""

    text: str
    before: float
    after: float  # after the content was taken out


@dataclass(frozen=True)
class Removal:
    """What is taken out of one reference.

    removed: length of what is taken out of the image vector, over the vector's own. masked: how
    many of its `elements` a mask takes; None in other modes. texts: those that the unit names, then
    `suggested`, those that the reference suggests.
    """

    removed: float
    masked: int | None
    elements: int
    texts: tuple[Similarity, ...]
    suggested: tuple[str, ...]

    def in_words(self) -> str:
        """One line of a plan."""
        parts = [f"{self.removed:.0%} of the length of its image vector"]
        if self.masked is not None:
            parts[0] += f", in {self.masked:,} of its {self.elements:,} elements"
        parts += [
            f"likeness to {each.text!r} {each.before:.2f}, {each.after:.2f} after"
            for each in self.texts
        ]
        return "; ".join(parts)


def removal_of(image: torch.Tensor, unit: Unit, reader: ContentReader) -> Removal:
    """What `unit` takes out of a reference with the image vector [E].

    Raises InstantStyleError if a text cannot be read.
    """
    words = reader.read(image)
    left = reader.remove(image, words)
    before, after = cosines(image, words.vectors), cosines(left, words.vectors)
    masked = None
    if unit.content_mode == MASK and len(words.vectors) and unit.content_scale:
        masked = int(masked_elements(image, words.vectors, unit.content_share).sum())
    length = image.norm()
    return Removal(
        float((image - left).norm() / length) if length else 0.0,
        masked,
        image.shape[-1],
        tuple(
            Similarity(text, float(b), float(a))
            for text, b, a in zip((*words.named, *words.suggested), before, after)
        ),
        words.suggested,
    )


def removals_of(
    images: Sequence[torch.Tensor], unit: Unit, source: ContentSource, context: Context
) -> list[Removal]:
    """What `unit` takes out of each reference with the image vectors `images` [E].

    Empty if the words of the vocabulary were never encoded: that takes too long for a plan. Raises
    InstantStyleError if a text cannot be read.
    """
    if unit.auto_content and not Vocabulary.is_kept(source.encoder, context.host.cache_folder()):
        return []
    reader = ContentReader(unit, source, context.host)
    return [removal_of(image, unit, reader) for image in images]


def describe_subtraction(unit: Unit, source: ContentSource) -> str:
    """One line of a plan: what would be taken out, and by which text encoder it is read."""
    compared = "" if source.agreement is None else f" (agreement {source.agreement:.2f})"
    line = (
        f"{unit.content_scale:g} times {_named(unit)} ({_mode(unit, source.encoder.width)}), read "
        f"by {source.encoder.title}{compared}"
    )
    return f"{line}. {source.comment}" if source.comment else f"{line}."


def describe_mode(unit: Unit, width: int) -> str:
    """What `unit` does to image vectors of `width` numbers, a sentence; "" if nothing."""
    if not takes_content_out(unit):
        return ""
    away = " Guidance moves away from it, too." if unit.negative_content else ""
    found = f"{unit.content_scale:g} times {_named(unit)} will be taken out"
    return f"{found} ({_mode(unit, width)}).{away}"


def _named(unit: Unit) -> str:
    named = [repr(text) for text in content_texts(unit.content)]
    if unit.auto_content:
        words = "word" if unit.auto_content == 1 else f"{unit.auto_content} words"
        named.append(f"the {words} that each reference suggests")
    return " and ".join(named)


def _mode(unit: Unit, width: int) -> str:
    if unit.content_mode != MASK:
        return str(unit.content_mode)
    if not unit.content_share:
        return f"{MASK}, of {width:,} elements those of the upper of two clusters"
    return f"{MASK}, {mask_size(width, unit.content_share):,} of {width:,} elements for each"
