"""Which rows a UNet call of the Forge family holds: whole chunks, one for each conditioning.

A step has one conditioning for each part of the prompt (AND) and one for the negative prompt, of
B rows each. Those that can be joined go through the UNet together, the last one first; the call
says in `cond_or_uncond` what each chunk is. CFG 1 leaves the negative prompt out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

PROMPT, NEGATIVE = 0, 1
MOST_REPEATS = 4  # of the shorter of two texts; beyond that they are not joined


@dataclass
class Chunk:
    """B rows of one kind. text [B, L, C]."""

    kind: int
    text: Tensor
    vector: Tensor | None
    strength: float = 1.0


def _chunk(kind: int, cond: Any, strength: float = 1.0) -> Chunk:
    if isinstance(cond, dict):
        return Chunk(kind, cond["crossattn"], cond["vector"], strength)
    return Chunk(kind, cond, None, strength)


def _rows(cond: Any, index: list[int]) -> Any:
    return {k: v[index] for k, v in cond.items()} if isinstance(cond, dict) else cond[index]


def chunks_of(text_cond, text_uncond, composition) -> tuple[list[Chunk], list[Chunk]]:
    """composition: for each image of the batch its parts, (row of text_cond, weight) each."""
    prompt = [
        _chunk(PROMPT, _rows(text_cond, [row for row, _ in parts]), parts[-1][1])
        for parts in zip(*composition, strict=False)
    ]
    return prompt, [] if text_uncond is None else [_chunk(NEGATIVE, text_uncond)]


def _can_join(a: Chunk, b: Chunk) -> bool:
    if (a.vector is None) != (b.vector is None) or len(a.text) != len(b.text):
        return False
    x, y = a.text.shape[1], b.text.shape[1]
    return math.lcm(x, y) // min(x, y) <= MOST_REPEATS


def joined(texts: list[Tensor]) -> Tensor:
    """Texts of different lengths are repeated until they are equally long."""
    length = math.lcm(*(t.shape[1] for t in texts))
    return torch.cat([t.repeat(1, length // t.shape[1], 1) for t in texts])


def _take_batch(waiting: list[Chunk], patcher, x: Tensor, free: float) -> list[Chunk]:
    """The chunks of the next call, as many as there is memory for."""
    fitting = [i for i, chunk in enumerate(waiting) if _can_join(chunk, waiting[0])][::-1]
    counts = [len(fitting) // parts for parts in range(1, len(fitting) + 1)]
    rest = x.shape[1:]
    enough = (n for n in counts if patcher.memory_required([n * len(x), *rest]) < free)
    return [waiting.pop(i) for i in fitting[: next(enough, 1)]]


def calculate(patcher, prompt, negative, x, sigma, concat, free_memory) -> tuple[Tensor, Tensor]:
    """What the UNet says to the prompt and to the negative prompt: denoised latents [B, 4, h, w].

    Parts of a prompt are mixed by their weights.
    """
    sums = {kind: torch.zeros_like(x) for kind in (PROMPT, NEGATIVE)}
    weights = {PROMPT: 1e-37, NEGATIVE: 1e-37}
    waiting = [*prompt, *negative]
    while waiting:
        batch = _take_batch(waiting, patcher, x, free_memory())
        kinds = [chunk.kind for chunk in batch]
        extra = {}
        if batch[0].vector is not None:
            extra["y"] = torch.cat([chunk.vector for chunk in batch])
        if concat is not None:
            extra["c_concat"] = torch.cat([concat] * len(batch))
        options = {
            **patcher.model_options["transformer_options"],
            "cond_or_uncond": kinds,
            "sigmas": sigma,
        }
        out = patcher.model.apply_model(
            torch.cat([x] * len(batch)),
            torch.cat([sigma] * len(batch)),
            c_crossattn=joined([chunk.text for chunk in batch]),
            transformer_options=options,
            **extra,
        )
        for chunk, part in zip(batch, out.chunk(len(batch)), strict=True):
            sums[chunk.kind] += part * chunk.strength
            weights[chunk.kind] += chunk.strength
    return sums[PROMPT] / weights[PROMPT], sums[NEGATIVE] / weights[NEGATIVE]


def sampling_function(patcher, params, cond_scale, composition, free_memory) -> Tensor:
    """One step's denoised latents under classifier-free guidance."""
    prompt, negative = chunks_of(params.text_cond, params.text_uncond, composition)
    strength = sum(chunk.strength for chunk in prompt)
    if math.isclose(cond_scale, 1.0):
        negative = []
    x, concat = params.x, params.image_cond
    if not torch.is_tensor(concat) or concat.shape[2:] != x.shape[2:]:
        concat = None
    a, b = calculate(patcher, prompt, negative, x, params.sigma, concat, free_memory)
    edit = 1.0 if math.isclose(strength, 1.0) else strength
    return b + (a - b) * cond_scale * edit
