"""Further settings of the effect report: the layout lock, and the words as negative image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.effect import further
from tests.effect.arms import ALL_BLOCKS, Arm, equally, make_cases
from tests.effect.outcome import Outcome
from tests.effect.painter import Painter
from tests.unit.small_family import untrained

CASES = make_cases(3, seed=1)
PLAIN = Arm("plain", {})
ALL = equally("all", ALL_BLOCKS)
WEAK = equally("weak", ALL_BLOCKS, 1e-5)


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Painter]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    family = untrained(tmp_path_factory.mktemp("family"))
    yield Painter(family.weights, family.models, steps=3)
    torch.set_num_threads(before)


def locked(arm: Arm, share: float) -> Arm:
    return replace(arm, fields={"layout_lock": share})


def test_the_lock_changes_a_styled_picture_and_leaves_one_without_style(painter: Painter) -> None:
    styled = painter.paint(ALL, CASES)
    first, whole = (painter.paint(locked(ALL, share), CASES) for share in (0.3, 1.0))
    assert (whole - styled).abs().max() > 1e-3
    assert (first - whole).abs().max() > 1e-4
    plain = painter.paint(PLAIN, CASES)
    torch.testing.assert_close(painter.paint(locked(WEAK, 1.0), CASES), plain, rtol=0, atol=1e-3)


def test_the_lock_holds_what_the_plain_picture_attends_to(painter: Painter) -> None:
    """In the first step, queries and keys of the styled picture are the plain one's, in all layers:
    its self-attention would otherwise see the style of the layers before."""
    attention = next(iter(painter.layers.self_attentions_in(range(11)))).module
    seen: list[torch.Tensor] = []
    hook = attention.to_q.register_forward_hook(lambda module, args, out: seen.append(out.clone()))
    try:
        painter.paint(PLAIN, CASES)
        plain, seen[:] = list(seen), []
        painter.paint(locked(ALL, 1.0), CASES)
    finally:
        hook.remove()
    assert len(plain) == 3 and len(seen) == 6  # a plain and a styled evaluation in each step
    for mine, theirs in zip(seen[::2], plain, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-3)


def test_negative_rows_get_the_words_of_their_own_case(painter: Painter) -> None:
    subtracted = ALL.removing("difference", 0.5)
    negated = replace(subtracted, fields={**subtracted.fields, "negative_content": True})
    together = painter.paint(negated, CASES)
    assert (together - painter.paint(subtracted, CASES)).abs().max() > 1e-3
    alone = painter.paint(negated, CASES.part(slice(2, 3)))
    torch.testing.assert_close(alone[0], together[2], rtol=0, atol=1e-3)
    assert negated.key != subtracted.key


def test_each_row_is_compared_with_the_one_that_it_names() -> None:
    rows = further.settings((10,))
    names = [each.name for each in rows]
    assert len({each.arm.key for each in rows}) == len(rows)
    assert {each.against for each in rows} - {""} <= set(names)
    hits = {name: np.arange(8) < i % 8 for i, name in enumerate(dict.fromkeys(names))}
    outcomes = [Outcome(hits[name], hits[name], hits[name]) for name in names]
    lines = further.section(rows, [(one, one) for one in outcomes])
    table = [line for line in lines if line.startswith("| ")][2:]
    for each, line in zip(rows, table, strict=True):
        points = 100 * (hits[each.name].mean() - hits[each.against].mean()) if each.against else 0
        assert (f"| {points:+.1f} (" in line) == bool(each.against)
