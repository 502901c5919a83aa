"""Prompts to conditionings: AND with weights, `[from:to:when]` schedules, attention weights."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import torch
from torch import Tensor

Cond = Any  # a Tensor [tokens, width] for SD1.5, a dict of such tensors for SDXL


class ScheduledPromptConditioning(NamedTuple):
    end_at_step: int
    cond: Cond


class SdConditioning(list):
    """A list of prompts that knows the size of the picture, which SDXL is conditioned on."""

    def __init__(
        self, prompts, is_negative_prompt=False, width=None, height=None, copy_from=None
    ) -> None:
        super().__init__(prompts)
        source = prompts if copy_from is None else copy_from
        self.is_negative_prompt = is_negative_prompt or getattr(source, "is_negative_prompt", False)
        self.width = width or getattr(source, "width", None)
        self.height = height or getattr(source, "height", None)


# `[before:after:when]` and `[after:when]`, innermost; A1111 has a grammar, alternation and nesting
_scheduled = re.compile(r"\[(?:([^\[\]:]*):)?([^\[\]:]*):\s*(\d*\.?\d+)\s*\]")


def get_learned_conditioning_prompt_schedules(
    prompts, base_steps: int, hires_steps: int | None = None, use_old_scheduling: bool = False
) -> list[list[list]]:
    """For each prompt a list of [last step, text]. Whole numbers are steps, others fractions."""
    steps = base_steps if hires_steps is None or use_old_scheduling else hires_steps
    second_pass = hires_steps is not None and not use_old_scheduling

    def when(text: str) -> int:
        value = float(text)
        if "." in text:
            value = (value - (1.0 if second_pass else 0.0)) * steps
        elif second_pass:
            value -= base_steps
        return min(steps, int(value))

    def at(step: int, prompt: str) -> str:
        def choose(m: re.Match) -> str:
            return (m[1] or "") if step <= when(m[3]) else m[2]

        return _scheduled.sub(choose, prompt)

    def schedule(prompt: str) -> list[list]:
        changes = {when(m[3]) for m in _scheduled.finditer(prompt)}
        ends = sorted({x for x in changes if x >= 1} | {steps})
        return [[end, at(end, prompt)] for end in ends]

    return [schedule(x) for x in prompts]


def get_learned_conditioning(
    model, prompts, steps, hires_steps=None, use_old_scheduling=False
) -> list[list[ScheduledPromptConditioning]]:
    schedules = get_learned_conditioning_prompt_schedules(
        prompts, steps, hires_steps, use_old_scheduling
    )
    known: dict[str, list[ScheduledPromptConditioning]] = {}
    result = []
    for prompt, schedule in zip(prompts, schedules, strict=True):
        if prompt not in known:
            texts = SdConditioning([without_weights(x) for _, x in schedule], copy_from=prompts)
            conds = model.get_learned_conditioning(texts)
            known[prompt] = [
                ScheduledPromptConditioning(
                    end,
                    {k: v[i] for k, v in conds.items()} if isinstance(conds, dict) else conds[i],
                )
                for i, (end, _) in enumerate(schedule)
            ]
        result.append(known[prompt])
    return result


def without_weights(text: str) -> str:
    """`(a:1.2) b` -> `a b`. The tiny encoders know no weights; the marks must not become words."""
    return "".join(part for part, _ in parse_prompt_attention(text))


re_AND = re.compile(r"\bAND\b")
re_weight = re.compile(r"^((?:\s|.)*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*$")


def get_multicond_prompt_list(prompts) -> tuple[list, SdConditioning, dict[str, int]]:
    """For each prompt its (index into the flat list, weight); equal parts share an entry."""
    flat = SdConditioning([], copy_from=prompts)
    index_of: dict[str, int] = {}
    indexes = []
    for prompt in prompts:
        parts = []
        for part in re_AND.split(prompt):
            match = re_weight.search(part)
            text, weight = match.groups() if match else (part, None)
            if text not in index_of:
                index_of[text] = len(flat)
                flat.append(text)
            parts.append((index_of[text], 1.0 if weight is None else float(weight)))
        indexes.append(parts)
    return indexes, flat, index_of


class ComposableScheduledPromptConditioning:
    def __init__(self, schedules, weight=1.0) -> None:
        self.schedules: list[ScheduledPromptConditioning] = schedules
        self.weight: float = weight


class MulticondLearnedConditioning:
    def __init__(self, shape, batch) -> None:
        self.shape: tuple = shape
        self.batch: list[list[ComposableScheduledPromptConditioning]] = batch


def get_multicond_learned_conditioning(
    model, prompts, steps, hires_steps=None, use_old_scheduling=False
) -> MulticondLearnedConditioning:
    indexes, flat, _ = get_multicond_prompt_list(prompts)
    learned = get_learned_conditioning(model, flat, steps, hires_steps, use_old_scheduling)
    batch = [
        [ComposableScheduledPromptConditioning(learned[i], weight) for i, weight in parts]
        for parts in indexes
    ]
    return MulticondLearnedConditioning((len(prompts),), batch)


class DictWithShape(dict):
    """SDXL's conditioning with the shape of its text part."""

    def __init__(self, x, shape=None) -> None:
        super().__init__(x)

    @property
    def shape(self):
        return self["crossattn"].shape


def _at_step(schedules: list[ScheduledPromptConditioning], step: int) -> Cond:
    """The first entry that has not ended; the first of all when every one has."""
    return next((x.cond for x in schedules if step <= x.end_at_step), schedules[0].cond)


def reconstruct_cond_batch(c, current_step: int) -> Tensor | DictWithShape:
    """Negative prompts are expected to have one length."""
    conds = [_at_step(x, current_step) for x in c]
    if not isinstance(conds[0], dict):
        return torch.stack(conds)
    return DictWithShape({k: torch.stack([x[k] for x in conds]) for k in conds[0]})


def stack_conds(tensors: list[Tensor]) -> Tensor:
    """[tokens, width] each -> [B, tokens, width]; short ones repeat their last vector."""
    longest = max(len(x) for x in tensors)
    padded = (
        [torch.cat([x, x[-1:].expand(longest - len(x), -1)]) for x in tensors]
        if (tensors[0].dim() == 2)
        else tensors
    )
    return torch.stack(padded)


def reconstruct_multicond_batch(c: MulticondLearnedConditioning, current_step: int):
    """(for each image its (row, weight)s, the rows): the rows of one image lie side by side."""
    rows: list[Cond] = []
    conds_list = []
    for parts in c.batch:
        of_image = []
        for part in parts:
            of_image.append((len(rows), part.weight))
            rows.append(_at_step(part.schedules, current_step))
        conds_list.append(of_image)
    if isinstance(rows[0], dict):
        stacked = DictWithShape({k: stack_conds([x[k] for x in rows]) for k in rows[0]})
    else:
        stacked = stack_conds(rows)
    return conds_list, stacked


re_attention = re.compile(r"\\[\\()\[\]]|\\|\(|\[|:\s*([+-]?[.\d]+)\s*\)|\)|\]|[^\\()\[\]:]+|:")


def parse_prompt_attention(text: str) -> list[list]:
    """`(a)` 1.1, `(a:1.3)` 1.3, `[a]` 1/1.1 -> [[text, weight], ...]."""
    result: list[list] = []
    round_open: list[int] = []
    square_open: list[int] = []

    def multiply(start: int, factor: float) -> None:
        for entry in result[start:]:
            entry[1] *= factor

    for m in re_attention.finditer(text):
        found, weight = m[0], m[1]
        if found.startswith("\\"):
            result.append([found[1:], 1.0])
        elif found == "(":
            round_open.append(len(result))
        elif found == "[":
            square_open.append(len(result))
        elif weight is not None and round_open:
            multiply(round_open.pop(), float(weight))
        elif found == ")" and round_open:
            multiply(round_open.pop(), 1.1)
        elif found == "]" and square_open:
            multiply(square_open.pop(), 1 / 1.1)
        else:
            result.append([found, 1.0])
    for start in round_open:
        multiply(start, 1.1)
    for start in square_open:
        multiply(start, 1 / 1.1)
    merged: list[list] = []
    for entry in result or [["", 1.0]]:
        if merged and merged[-1][1] == entry[1]:
            merged[-1][0] += entry[0]
        else:
            merged.append(entry)
    return merged
