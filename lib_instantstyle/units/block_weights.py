"""Own block weights: every notation people use, turned into one vector.

Accepted, with `;` or `,` between entries and `=` or `:` inside one:

- names: `up_blocks.0.attentions.1=1; down_blocks.2.attentions.1=0.5`, diffusers or ldm, also the
  head of a name for everything under it (`up_blocks.0=1`, `middle_block=0.5`) and `*` for all;
- transformer indices in call order: `6:1; 3:0.5`;
- a plain list with one number for each transformer (11 for SDXL, 16 for SD1.5);
- a JSON object of the above, or diffusers' scale dictionary `{"up": {"block_0": [0, 1, 0]}}`, as
  an object or as its text;
- what another tool would take, behind the tool's name: see units/notations.py.

A later entry wins over an earlier one. What is not named gets 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.layout import Block, Layout
from lib_instantstyle.units.notations import (
    CONTROLNET,
    COUNTS,
    DIFFUSERS,
    IPADAPTER_PLUS,
    NAMED,
    NAMES,
    PREFIX,
    find_name,
    read_json_weights,
    read_list,
    read_mapping,
    read_text,
    tool_of,
)
from lib_instantstyle.units.presets import BlockWeight


@dataclass(frozen=True)
class BlockWeights:
    """Block weights as asked for, before the checkpoint's layout is known.

    One of: `entries` (selector, weight) in order; `plain`, one number per transformer; `named`,
    another tool's name for a choice of blocks, a key of notations.NAMED.
    """

    entries: tuple[tuple[str, float], ...] = ()
    plain: tuple[float, ...] = ()
    named: str = ""

    def __bool__(self) -> bool:
        return bool(self.entries or self.plain or self.named)

    def block_weights(
        self,
        layout: Layout,
        weight: float,
        layout_weight: float | None = None,
        boost: float | None = None,
    ) -> dict[int, BlockWeight]:
        """What each transformer gets, as Preset.block_weights gives it.

        layout_weight and boost matter to another tool's name only, as they do to the preset that
        it stands for. Raises InstantStyleError where a name or a count does not fit the layout.
        """
        if self.named:
            return NAMED[self.named].block_weights(layout, weight, layout_weight, boost)
        return {
            index: BlockWeight(amount)
            for index, factor in self.vector(layout).items()
            if (amount := weight * factor)
        }

    def vector(self, layout: Layout) -> dict[int, float]:
        """Weights by transformer index for `layout`; zeros are left out.

        Raises InstantStyleError where a name or a count does not fit the layout.
        """
        if self.named:
            return dict(NAMED[self.named].vector(layout))
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
        if self.named:
            return self.named
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
    if isinstance(value, (Mapping, Sequence)):
        count = _entries_in(value)
        if count > limits.BLOCK_ENTRIES:
            raise InstantStyleError(
                f"blocks has {count:,} entries; up to {limits.BLOCK_ENTRIES} are allowed."
            )
    if isinstance(value, Mapping):
        return BlockWeights(entries=tuple(read_mapping(value)))
    if isinstance(value, Sequence):
        return BlockWeights(plain=tuple(read_list(value)))
    raise InstantStyleError(
        f"blocks is {shorten(value)}; a text, a list of numbers or an object is allowed."
    )


@dataclass(frozen=True)
class BlockWeightsParser:
    """The parser of the field `blocks`; see values.Parser."""

    schema = {"description": "text, list of numbers or object"}
    allowed = "text, list of numbers, object"

    def __call__(self, value: object) -> BlockWeights:
        return parse_block_weights(value)


def _entries_in(value: Mapping[object, object] | Sequence[object]) -> int:
    """How many weights an object or list may stand for: diffusers' hold others, twice at most."""
    count, level = 0, [value]
    for _ in range(3):
        inner = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, Mapping) else holder)
        ]
        count += len(inner)
        level = [item for item in inner if isinstance(item, (Mapping, list, tuple))]
    return count


def _parse_text(text: str) -> BlockWeights:
    if len(text) > limits.BLOCKS_CHARACTERS:
        raise InstantStyleError(
            f"blocks has {len(text):,} characters; up to {limits.BLOCKS_CHARACTERS:,} are allowed."
        )
    prefix = PREFIX.match(text)
    if prefix:
        return _parse_tool(tool_of(prefix[1]), text[prefix.end() :].rstrip(), prefix.end())
    if text.lstrip()[:1] in ("{", "["):
        return parse_block_weights(read_json_weights(text))
    entries, plain = read_text(text)
    if len(entries) + len(plain) > limits.BLOCK_ENTRIES:
        raise InstantStyleError(
            f"blocks has {len(entries) + len(plain):,} entries; up to {limits.BLOCK_ENTRIES} are "
            "allowed."
        )
    return BlockWeights(tuple(entries), tuple(plain))


def _parse_tool(tool: str, text: str, offset: int) -> BlockWeights:
    """What follows a tool's name; offset: the characters before it."""
    name = find_name(tool, text)
    if name:
        return BlockWeights(named=name)
    if tool == DIFFUSERS and text.startswith("{"):
        return parse_block_weights(read_json_weights(text, offset))
    if tool == IPADAPTER_PLUS and ":" in text:
        entries, _ = read_text(text, offset)
        if all(selector.isdigit() for selector, _ in entries):
            return BlockWeights(tuple(entries))
    if tool in COUNTS and text[:1] in tuple("[-+.0123456789"):
        numbers = _parse_numbers(text, offset)
        if len(numbers) in COUNTS[tool]:
            if tool == CONTROLNET:
                numbers = [max(number, 0.0) for number in numbers]
            return BlockWeights(plain=tuple(numbers))
    raise InstantStyleError(
        f"blocks: {shorten(text)} at character {offset + 1} is nothing that {tool} takes; "
        f"{_allowed(tool)} is allowed."
    )


def _parse_numbers(text: str, offset: int) -> list[float]:
    if text.startswith("["):
        found = read_json_weights(text, offset)
        return read_list(found) if isinstance(found, list) else []
    entries, plain = read_text(text, offset)
    return [] if entries else plain


def _allowed(tool: str) -> str:
    lists = {
        DIFFUSERS: "a scale dictionary as JSON text",
        IPADAPTER_PLUS: 'transformer indices with weights such as "3:2.5, 6:1"',
    }
    for name, counts in COUNTS.items():
        lists[name] = f"a list of {' or '.join(map(str, counts))} numbers"
    return " or ".join(filter(None, [", ".join(NAMES[tool]), lists[tool]]))


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
