"""The words that a reference suggests itself: those of a list that CLIP finds most like it.

The text vectors of the list are computed once for each text encoder and read from disk afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from lib_instantstyle.content.similarity import best_matches
from lib_instantstyle.content.word_vectors import (
    WordEncoder,
    are_kept,
    caption,
    nouns,
    word_vectors,
)


@dataclass(frozen=True)
class Suggestion:
    """A noun for what the reference may show, and its cosine with the image vector."""

    noun: str
    cosine: float


class Vocabulary:
    """The nouns, with the vectors [n, E] that a text encoder has for them."""

    def __init__(
        self,
        encoder: WordEncoder,
        folder: Path,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """folder: where the vectors are kept. progress: called with the number of nouns encoded so
        far, and of all; not if the vectors were read from `folder`.
        """
        self.nouns = nouns()

        def report(done: int) -> None:
            if progress:
                progress(done, len(self.nouns))

        self.vectors = word_vectors(encoder, _captions(), folder, report)

    @staticmethod
    def is_kept(encoder: WordEncoder, folder: Path) -> bool:
        """Whether `folder` has the vectors, so that nothing would be encoded."""
        return are_kept(encoder, _captions(), folder)

    def suggest(
        self, image: torch.Tensor, count: int, named: Sequence[str] = ()
    ) -> tuple[Suggestion, ...]:
        """The `count` nouns that are most like the image vector [E], best first.

        named: texts that are known already, whose words are not suggested again. A vector of zeros
        is like nothing.
        """
        if not image.any():
            return ()
        found = best_matches(image, self.vectors, self.nouns, count, named)
        return tuple(Suggestion(*each) for each in found)

    def vectors_of(self, suggestions: Sequence[Suggestion]) -> torch.Tensor:
        """The vectors [n, E] of `suggestions`, float32."""
        places = [self.nouns.index(each.noun) for each in suggestions]
        return self.vectors[places].float()


def _captions() -> list[str]:
    return [caption(noun) for noun in nouns()]
