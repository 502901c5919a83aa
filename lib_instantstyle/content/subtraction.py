"""Taking the content out of a reference's image vector, before the adapter's projection.

The content is what a unit names in words, and the words that the reference suggests itself. See
modes.py for the ways to take it out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import torch

from lib_instantstyle.content.modes import remove_content
from lib_instantstyle.content.suggestions import Vocabulary
from lib_instantstyle.content.text_encoders import ContentSource, content_source
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensors import check_range, largest_of
from lib_instantstyle.hosts import Host
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.catalog import AdapterFile
from lib_instantstyle.units.unit import Unit

SEPARATOR = "|"


def content_texts(content: str) -> list[str]:
    """The texts in a `content` field: `|` separates several."""
    return [text.strip() for text in content.split(SEPARATOR) if text.strip()]


def takes_content_out(unit: Unit) -> bool:
    """Whether `unit` takes anything out of its references."""
    return bool(unit.content_scale and (unit.auto_content or content_texts(unit.content)))


class Words(NamedTuple):
    """What is taken out of one reference."""

    named: tuple[str, ...]  # by the unit
    suggested: tuple[str, ...]  # by the reference
    vectors: torch.Tensor  # [n, E], of both


class ContentReader:
    """Reads the words of a unit, and finds those that its references suggest."""

    def __init__(
        self,
        unit: Unit,
        source: ContentSource,
        host: Host,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """progress: called while the words of the vocabulary are encoded; see Vocabulary."""
        self._unit = unit
        self._source = source
        self._host = host
        self._progress = progress
        self._texts = tuple(content_texts(unit.content))

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The words that may be suggested, encoded once."""
        return Vocabulary(self._source.encoder, self._host.cache_folder(), self._progress)

    @cached_property
    def _vectors(self) -> torch.Tensor:
        """Of the texts of the unit; raises InstantStyleError if they cannot be read."""
        encoder = self._source.encoder
        if not self._texts:
            return torch.zeros(0, encoder.width)
        vectors = encoder.vectors(self._texts)
        check_range(largest_of(vectors), encoder.title)
        return vectors

    def read(self, image: torch.Tensor) -> Words:
        """The words for a reference with the image vector [E]."""
        if not self._unit.auto_content:
            return Words(self._texts, (), self._vectors)
        found = self.vocabulary.suggest(image, self._unit.auto_content, self._texts)
        vectors = torch.cat([self._vectors, self.vocabulary.vectors_of(found)])
        return Words(self._texts, tuple(each.noun for each in found), vectors)

    def remove(self, image: torch.Tensor, words: Words) -> torch.Tensor:
        """Image vectors [..., E] without what `words` name."""
        unit = self._unit
        return remove_content(
            image, list(words.vectors), unit.content_scale, unit.content_mode, unit.content_share
        )


def without_content(
    images: torch.Tensor,
    unit: Unit,
    adapter: AdapterFile,
    context: Context,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[torch.Tensor, tuple[tuple[str, ...], ...]]:
    """The image vectors [n, E] of references without the content, and what each has suggested.

    For prompt rows only; those of negative rows stay as they are. Where the unit takes nothing out,
    `images` is returned and nothing is suggested. progress: see Vocabulary. Raises
    InstantStyleError if no fitting text encoder is found, or `adapter` takes no image vectors.
    """
    if not takes_content_out(unit):
        return images, ()
    check_subtraction(adapter, unit)
    source = content_source(adapter.kind.projection.feature_width, unit.clip_source, context)
    if source.comment:
        context.notify(source.comment)
    reader = ContentReader(unit, source, context.host, progress)
    if not unit.auto_content:  # all have the same words
        return reader.remove(images, reader.read(images)), ()
    words = [reader.read(image) for image in images]
    left = [reader.remove(image, found) for image, found in zip(images, words)]
    return torch.stack(left), tuple(found.suggested for found in words)


def check_subtraction(adapter: AdapterFile, unit: Unit | None = None) -> None:
    """Raise InstantStyleError if `adapter` takes hidden states, from which no text can be taken."""
    if adapter.kind.projection.takes_hidden_states:
        clear = "clear content"
        if unit is not None and unit.auto_content:
            named = content_texts(unit.content)
            clear = f"{'clear content and ' if named else ''}set auto_content to 0"
        raise InstantStyleError(
            f"content cannot be taken out with adapter {adapter.name}, which sees patches instead "
            "of one image vector; name the content by a negative_image, cut it off with a "
            f"reference_mask, choose a linear adapter such as ip-adapter_sdxl, or {clear}."
        )
