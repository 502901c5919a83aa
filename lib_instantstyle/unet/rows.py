"""Which rows of a UNet call are prompt and which negative prompt, and of which image.

A WebUI denoiser step works through its rows in order, prompt rows first and negative-prompt rows
after them, but deals them out to UNet calls in many ways: all at once, prompt and negative apart,
in slices that mix both, or without the negative rows. So neither "a call splits in half" nor "a
call is all of one kind" holds; what holds is the order. This counter follows it.

A row is told by one number: its kind, plus twice the number of its image in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

PROMPT, NEGATIVE = 0, 1


def row_code(kind: int, image: int) -> int:
    """The number of a row of `kind` that belongs to image `image` of the batch, from 0."""
    return kind + 2 * image


def kind_of(code: int) -> int:
    """PROMPT or NEGATIVE."""
    return code % 2


def image_of(code: int) -> int:
    """The image of the batch, from 0."""
    return code // 2


def rows_of_first_image(codes: Sequence[int]) -> list[int] | None:
    """For each row of a UNet call, the row of the batch's first image that is of the same kind.

    None if the call lacks one, because an extension deals out the rows in other ways.
    """
    first = {code: row for row, code in reversed([*enumerate(codes)])}
    rows = [first.get(row_code(kind_of(code), 0)) for code in codes]
    return [row for row in rows if row is not None] if None not in rows else None


class RowCounter:
    """Deals out the rows of one denoiser step to its UNet calls."""

    def __init__(self) -> None:
        self._rows: tuple[int, ...] = ()
        self._next = 0

    def begin_step(
        self, prompt_rows: int, negative_rows: int, owners: Sequence[int] | None = None
    ) -> None:
        """A denoiser step begins that has `prompt_rows` and then `negative_rows` rows.

        owners: the image of each prompt row, where images are to be told apart; each image has one
        negative row then, in order. Without them all rows count as the first image's.
        """
        if owners is None:
            self._rows = (PROMPT,) * prompt_rows + (NEGATIVE,) * negative_rows
        else:
            images = max(owners, default=0) + 1
            self._rows = (
                *(row_code(PROMPT, image) for image in owners),
                *(row_code(NEGATIVE, row % images) for row in range(negative_rows)),
            )
        self._next = 0

    @property
    def known(self) -> bool:
        """Whether any step has begun."""
        return bool(self._rows)

    def take(self, count: int) -> tuple[int, ...] | None:
        """The codes of the next `count` rows of the step.

        None if the step has not so many left, because another extension deals out the rows anew;
        `in_order` is then the best guess by counting. When a step's rows are used up exactly,
        they begin anew: an extension that samples in tiles evaluates them once per tile.
        """
        if self._next >= len(self._rows):
            self._next = 0
        first, self._next = self._next, self._next + count
        if self._next > len(self._rows):
            return None
        return self._rows[first : self._next]

    def in_order(self, count: int) -> tuple[int, ...]:
        """The codes of `count` rows if the rows of the step stand in it over and over."""
        return tuple(self._rows[row % len(self._rows)] for row in range(count))


def owners_of(repeats: Sequence[int] | None, prompt_rows: int, images: int) -> list[int]:
    """The image of each prompt row.

    repeats: prompts that each image of the batch joins with AND, where that is known. Where it is
    not, or does not add up, each image has as many rows as the others.
    """
    if repeats is not None and sum(repeats) == prompt_rows:
        return [image for image, count in enumerate(repeats) for _ in range(count)]
    each = max(1, prompt_rows // max(1, images))
    return [min(row // each, max(1, images) - 1) for row in range(prompt_rows)]


# Which rows of a UNet call are prompt and which negative prompt, found out by what they hold.
#
# Needed only where another extension deals out the rows anew: it compares tensors, and so makes the
# processor wait for the device.

CHUNK = 77  # tokens of one part of a long prompt


def kinds_by_context(
    context: torch.Tensor | None,
    prompt: torch.Tensor,
    negative: torch.Tensor,
    negatives: int | None = None,
) -> tuple[int, ...] | None:
    """Kinds of the rows of `context` [B, L, C], given the known rows of both prompts [n, L', C].

    Token counts may differ. Padding is put at the end, so the beginnings are compared; and an
    extension for regions of the picture hands out a prompt chunk by chunk, so a shorter row may
    also be any of the known ones' chunks. None where a row is like both or like neither.

    negatives: how many rows are of the negative prompt, where the extension is known to have added
    rows. Such an extension adds prompts of its own: with so many found, the rest are these.
    """
    if context is None or context.dim() != 3:
        return None
    kinds = []
    for row in context:
        is_prompt, is_negative = _is_among(row, prompt), _is_among(row, negative)
        if (is_prompt and is_negative) or not (is_prompt or is_negative or negatives):
            return None
        kinds.append(NEGATIVE if is_negative else PROMPT)
    return tuple(kinds) if negatives is None or kinds.count(NEGATIVE) == negatives else None


def _is_among(row: torch.Tensor, known: torch.Tensor) -> bool:
    if row.shape[-1] != known.shape[-1]:
        return False
    tokens = min(row.shape[0], known.shape[1])
    last = known.shape[1] - tokens
    chunks = range(0, last + 1, CHUNK) if tokens % CHUNK == 0 else (0,)
    return any(
        bool((known[:, i : i + tokens].to(row) == row[:tokens]).all(dim=2).all(dim=1).any())
        for i in chunks
    )
