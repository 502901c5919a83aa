"""Which rows of a UNet call are prompt and which negative prompt, found out by what they hold.

Needed only where another extension deals out the rows anew: it compares tensors, and so makes the
processor wait for the device.
"""

from __future__ import annotations

import torch

from lib_instantstyle.pure.rows import NEGATIVE, PROMPT

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
