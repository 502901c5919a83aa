"""Which rows of a UNet call are prompt and which negative prompt, and of which image.

A denoiser step of a WebUI has prompt rows and, after them, negative-prompt rows. It distributes
them to UNet calls in many ways: all at once, prompt and negative apart, in slices that mix both, or
without the negative rows. So a call need not be one half of each, nor of one kind; but the order of
the rows is always kept, and RowCounter counts by it. Where another extension changes the order,
kinds_by_context compares the context of a call with the prompts.

A row has a code: its kind, plus twice the number of its image in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

PROMPT, NEGATIVE = 0, 1
CHUNK = 77  # tokens of one part of a long prompt


def row_code(kind: int, image: int) -> int:
    """The code of a row of `kind` for the image `image` of the batch, counted from 0."""
    return kind + 2 * image


def kind_of(code: int) -> int:
    """The kind in a code: PROMPT or NEGATIVE."""
    return code % 2


def image_of(code: int) -> int:
    """The number of the image in a code, counted from 0."""
    return code // 2


def rows_of_first_image(codes: Sequence[int]) -> list[int] | None:
    """For each row of a UNet call, the row of the batch's first image with the same kind.

    None if the call lacks such a row, because an extension distributes the rows differently.
    """
    first = {code: row for row, code in reversed([*enumerate(codes)])}
    rows = [first.get(row_code(kind_of(code), 0)) for code in codes]
    return [row for row in rows if row is not None] if None not in rows else None


class RowCounter:
    """Assigns the rows of one denoiser step to its UNet calls, in order."""

    def __init__(self) -> None:
        self._rows: tuple[int, ...] = ()
        self._next = 0

    def begin_step(
        self, prompt_rows: int, negative_rows: int, owners: Sequence[int] | None = None
    ) -> None:
        """Begin a denoiser step with `prompt_rows` and then `negative_rows` rows.

        owners: the image of each prompt row, if codes must name images; the negative rows are then
        one for each image, in order. Without owners all rows have the first image's number.
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

        None if the step has fewer left, because another extension distributes the rows differently;
        `in_order` is then the best guess by counting. When all rows of a step are used up, they
        start again: an extension that samples in tiles evaluates them once for each tile.
        """
        if self._next >= len(self._rows):
            self._next = 0
        first, self._next = self._next, self._next + count
        if self._next > len(self._rows):
            return None
        return self._rows[first : self._next]

    def in_order(self, count: int) -> tuple[int, ...]:
        """The codes of `count` rows that are the rows of the step, repeated in order."""
        return tuple(self._rows[row % len(self._rows)] for row in range(count))


def owners_of(repeats: Sequence[int] | None, prompt_rows: int, images: int) -> list[int]:
    """The number of the image of each prompt row.

    repeats: how many prompts each image of the batch joins with AND. If that is None, or their sum
    is not `prompt_rows`, every image has the same number of rows.
    """
    if repeats is not None and sum(repeats) == prompt_rows:
        return [image for image, count in enumerate(repeats) for _ in range(count)]
    each = max(1, prompt_rows // max(1, images))
    return [min(row // each, max(1, images) - 1) for row in range(prompt_rows)]


def kinds_by_context(
    context: torch.Tensor | None,
    prompt: torch.Tensor,
    negative: torch.Tensor,
    negatives: int | None = None,
) -> tuple[int, ...] | None:
    """Kinds of the rows of `context` [B, L, C], given the known rows of both prompts [n, L', C].

    Token counts may differ: padding is at the end, so the beginnings are compared. An extension for
    regions of the picture passes a prompt chunk by chunk, so a shorter row may also equal any
    chunk of a prompt. None if a row equals rows of both prompts, or of neither. Comparing tensors
    makes the processor wait for the device.

    negatives: how many rows are of the negative prompt, if the extension is known to have added
    rows with prompts of its own; rows that equal neither prompt are then such prompts.
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
