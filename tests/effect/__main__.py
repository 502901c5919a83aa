"""python -m tests.effect: what the method does with the trained models, as a report.

Pictures and verdicts are kept in --out, so a run that was stopped continues from there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.effect import further, named, separation, without_adapter
from tests.effect.arms import NO_ADAPTER, QUICK, Arm, Way, ways
from tests.effect.outcome import Outcome
from tests.effect.pairs import pairs
from tests.effect.picture import draw_front
from tests.effect.report import Found, report
from tests.effect.summary import Summary, kept_summary
from tests.effect.sweep import Sweep, sweep
from tests.effect.trials import Trials
from tests.trained.family import WEIGHTS, kept_weights
from tests.trained.world import LOOKS, SHAPES

SWEEP_SEED, REPORT_SEED = 1, 2
QUICK_CASES = 24


def main() -> None:
    arguments = parse_arguments()
    try:
        kept_weights(arguments.weights)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    trials = Trials(
        arguments.weights, arguments.out, arguments.cases, REPORT_SEED, arguments.workers
    )
    if arguments.quick:
        print_quickly(trials, ways(kept_summary(arguments.weights).style))
        return
    on_others = replace(trials, cases=arguments.sweep, seed=SWEEP_SEED)
    found = sweep(lambda arms: [first for first, _ in on_others(arms)])
    tried = ways(found.style)
    outcomes = attempt(trials, tried)
    sizes = {"shapes": len(SHAPES), "looks": len(LOOKS), "count": arguments.cases}
    write(arguments.report, found, tried, outcomes, sizes)
    append(arguments.report, further_sections(trials, found.style))
    summary(found, tried, outcomes, arguments.cases).write(arguments.weights)
    print(arguments.report.read_text(encoding="utf-8"))


def attempt(trials: Trials, tried: Sequence[Way]) -> Found:
    """Every way at every strength, in one go: the workers never wait for each other."""
    places = [(NO_ADAPTER.name, 0.0, NO_ADAPTER)]
    places += [(way.name, strength, arm) for way in tried for strength, arm in way.arms().items()]
    verdicts = trials([arm for _, _, arm in places])
    found: dict[str, dict] = {}
    for (name, strength, _), each in zip(places, verdicts, strict=True):
        found.setdefault(name, {})[strength] = each
    return found


def write(
    file: Path, found: Sweep, tried: Sequence[Way], outcomes: Found, sizes: dict[str, int]
) -> None:
    draw_front(tried, outcomes, file.with_name("effect-front.png"))
    file.write_text(report(found, tried, outcomes, sizes), encoding="utf-8")


def further_sections(trials: Trials, style: tuple[int, ...]) -> list[str]:
    """Two references together, colours that prompts name, methods without an adapter."""
    of_pairs = replace(trials, cases=separation.COUNT, seed=separation.SEED, two=True)
    tried = separation.arms(style)
    _, by_colour = pairs(separation.COUNT, separation.SEED)
    lines = separation.section(tried, of_pairs(tried), by_colour)
    with_names = replace(trials, cases=named.COUNT, seed=named.SEED, named=True)
    in_words = named.arms()
    lines += named.section(in_words, with_names([arm for _, arm in in_words]))
    rows = further.settings(style)
    others = replace(trials, cases=further.COUNT, seed=further.SEED)
    lines += further.section(rows, others([each.arm for each in rows]))
    without = replace(trials, cases=without_adapter.COUNT, seed=without_adapter.SEED)
    return lines + without_adapter.section(without(without_adapter.arms()))


def append(file: Path, lines: Sequence[str]) -> None:
    with file.open("a", encoding="utf-8") as report_file:
        report_file.write("\n".join([*lines, ""]))


def summary(found: Sweep, tried: Sequence[Way], outcomes: Found, cases: int) -> Summary:
    shares = {NO_ADAPTER.name: outcomes[NO_ADAPTER.name][0.0][0].shares}
    shares |= {way.name: outcomes[way.name][way.usual][0].shares for way in tried}
    return Summary(found.style, cases, shares)


def print_quickly(trials: Trials, tried: Sequence[Way]) -> None:
    """Some ways at their usual strength, on few cases; nothing is written but what was found."""
    few = replace(trials, cases=QUICK_CASES)
    arms: list[Arm] = [NO_ADAPTER, *(way.arm(way.usual) for way in tried if way.name in QUICK)]
    found: list[Outcome] = [first for first, _ in few(arms)]
    print(f"\n{QUICK_CASES} cases; kept, leaked, styled:")
    for arm, outcome in zip(arms, found, strict=True):
        print(f"{arm.name:40}" + "".join(f"{value:8.0%}" for value in outcome.shares))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.effect", description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where to read them")
    parser.add_argument("--out", type=Path, default=Path("build/effect"))
    parser.add_argument("--report", type=Path, default=Path("docs/effect.md"))
    parser.add_argument("--cases", type=int, default=480)
    parser.add_argument("--sweep", type=int, default=48, help="cases for each block of the sweep")
    parser.add_argument("--workers", type=int, default=2, help="processes that generate")
    parser.add_argument("--quick", action="store_true", help="two minutes: print, write nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
