"""Own block weights: every notation people use, turned into one vector.

Accepted, with `;` or `,` between entries and `=` or `:` inside one:

- names: `up_blocks.0.attentions.1=1; down_blocks.2.attentions.1=0.5`, diffusers or ldm, also the
  head of a name for everything under it (`up_blocks.0=1`, `middle_block=0.5`) and `*` for all;
- transformer indices in call order: `6:1; 3:0.5`;
- a plain list with one number for each transformer (11 for SDXL, 16 for SD1.5);
- a JSON object of the above, or diffusers' scale dictionary `{"up": {"block_0": [0, 1, 0]}}`.

A later entry wins over an earlier one. What is not named gets 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib_instantstyle.pure.errors import InstantStyleError, shorten
from lib_instantstyle.pure.layers import Block, Layout

LIMIT = 10.0  # of one entry, either sign
_ENTRY = re.compile(r"[^;,]+")
_SELECTOR = re.compile(r"\*|\d+|[a-z_]+(?:\.(?:\d+|attentions))*")
_DIFFUSERS_PARTS = {"down": "down_blocks", "mid": "mid_block", "up": "up_blocks"}


@dataclass(frozen=True)
class BlockWeights:
    """Block weights as asked for, before the checkpoint's layout is known.

    Either `entries` (selector, weight) in order, or `plain`: one number per transformer.
    """

    entries: tuple[tuple[str, float], ...] = ()
    plain: tuple[float, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.entries or self.plain)

    def vector(self, layout: Layout) -> dict[int, float]:
        """Weights by transformer index for `layout`; zeros are left out.

        Raises InstantStyleError where a name or a count does not fit the layout.
        """
        if self.plain:
            if len(self.plain) != len(layout.blocks):
                raise InstantStyleError(
                    f"blocks has {len(self.plain)} numbers; {layout.title} has "
                    f"{len(layout.blocks)} transformers, one number for each is needed."
                )
            return {i: w for i, w in enumerate(self.plain) if w}
        weights: dict[int, float] = {}
        for selector, weight in self.entries:
            for block in _select(selector, layout):
                weights[block.index] = weight
        return {index: weights[index] for index in sorted(weights) if weights[index]}

    def __str__(self) -> str:
        if self.plain:
            return ", ".join(_number(w) for w in self.plain)
        return "; ".join(f"{selector}={_number(weight)}" for selector, weight in self.entries)


def parse_block_weights(value: object) -> BlockWeights:
    """Read `blocks` in any of its notations; None, "" and empty containers give an empty result.

    Raises InstantStyleError that names the entry (and, in a text, the character) at fault.
    """
    if value is None or value == "" or value == [] or value == {}:
        return BlockWeights()
    if isinstance(value, BlockWeights):
        return value
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, Mapping):
        return BlockWeights(entries=tuple(_mapping_entries(value)))
    if isinstance(value, Sequence):
        return BlockWeights(plain=tuple(_weight(v, f"entry {i + 1}") for i, v in enumerate(value)))
    raise InstantStyleError(
        f"blocks is {shorten(value)}; a text, a list of numbers or an object is allowed."
    )


def _parse_text(text: str) -> BlockWeights:
    entries: list[tuple[str, float]] = []
    plain: list[float] = []
    for match in _ENTRY.finditer(text):
        raw = match.group()
        entry = raw.strip()
        if not entry:
            continue
        where = f"{shorten(entry)} at character {match.start() + len(raw) - len(raw.lstrip()) + 1}"
        named = re.fullmatch(r"([^=:]*)[=:](.*)", entry, re.DOTALL)
        if named:
            entries.append((_selector(named[1], where), _weight(named[2], where)))
        else:
            plain.append(_weight(entry, where))
        if plain and entries:
            raise InstantStyleError(
                f"blocks mixes plain numbers with named entries ({where}); use one of the two."
            )
    return BlockWeights(tuple(entries), tuple(plain))


def _mapping_entries(value: Mapping[object, object]) -> list[tuple[str, float]]:
    if value.keys() <= _DIFFUSERS_PARTS.keys():
        return _diffusers_entries(value)
    return [
        (_selector(str(key), shorten(key)), _weight(weight, shorten(key)))
        for key, weight in value.items()
    ]


def _diffusers_entries(value: Mapping[object, object]) -> list[tuple[str, float]]:
    entries: list[tuple[str, float]] = []
    for part, content in value.items():
        name = _DIFFUSERS_PARTS[str(part)]
        if not isinstance(content, Mapping):
            if isinstance(content, Sequence) and not isinstance(content, str):
                if len(content) != 1:
                    raise InstantStyleError(f"blocks: {part!r} takes one number or one per block.")
                content = content[0]
            entries.append((name, _weight(content, repr(part))))
            continue
        for block, weights in content.items():
            match = re.fullmatch(r"block_(\d+)", str(block))
            if part == "mid" or not match:
                raise InstantStyleError(
                    f"blocks: {shorten(block)} under {part!r} is unknown; block_0, block_1, ... "
                    "under 'down' and 'up' are allowed."
                )
            head = f"{name}.{match.group(1)}"
            if not isinstance(weights, Sequence) or isinstance(weights, str):
                weights = [weights]
            if len(weights) == 1:  # one for all transformers of the block
                entries.append((head, _weight(weights[0], head)))
                continue
            for j, weight in enumerate(weights):
                transformer = f"{head}.attentions.{j}"
                entries.append((transformer, _weight(weight, transformer)))
    return entries


def _selector(text: str, where: str) -> str:
    selector = text.strip().lower()
    if not _SELECTOR.fullmatch(selector):
        raise InstantStyleError(
            f"blocks: {where} names no block; a transformer index, a block name such as "
            "up_blocks.0.attentions.1, the head of one, or * is allowed."
        )
    return selector


def _weight(value: object, where: str) -> float:
    try:
        if isinstance(value, bool):
            raise TypeError
        number = float(value)  # type: ignore[arg-type]  # anything float() takes, checked below
    except (TypeError, ValueError):
        number = math.nan
    if not abs(number) <= LIMIT:
        raise InstantStyleError(
            f"blocks: {where} has the weight {shorten(value)}; "
            f"a number from -{LIMIT:g} to {LIMIT:g} is allowed."
        )
    return number


def _select(selector: str, layout: Layout) -> list[Block]:
    if selector == "*":
        return list(layout.blocks)
    if selector.isdigit():
        found = [b for b in layout.blocks if b.index == int(selector)]
        allowed = f"transformer indices 0 to {len(layout.blocks) - 1}"
    else:
        found = [
            b
            for b in layout.blocks
            for name in (b.diffusers, b.ldm)
            if name == selector or name.startswith(selector + ".")
        ]
        allowed = ", ".join(b.diffusers for b in layout.blocks)
    if not found:
        raise InstantStyleError(
            f"blocks: {selector} has no cross-attention in {layout.title}; it has {allowed}."
        )
    return found


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)
