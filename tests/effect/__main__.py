"""python -m tests.effect: what the method does with the trained models, as a report."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from tests.effect.arms import ALL_BLOCKS, Arm, Cases, equally, make_cases
from tests.effect.outcome import Outcome, judged
from tests.effect.painter import Painter
from tests.effect.report import PAPERS_BLOCK, compared, report
from tests.effect.summary import (
    ALL,
    ALL_SUBTRACTED,
    BOTH,
    MATCHED,
    NO_ADAPTER,
    PAPER,
    STYLE,
    Summary,
)
from tests.effect.sweep import sweep
from tests.trained.family import WEIGHTS, kept_weights
from tests.trained.world import LOOKS, SHAPES, as_image

SUBTRACTED = 0.5  # the extension's default
SWEEP_SEED, REPORT_SEED = 1, 2


def main() -> None:
    arguments = parse_arguments()
    try:
        weights = kept_weights(arguments.weights)
    except FileNotFoundError as error:
        raise SystemExit(str(error)) from None
    painter = Painter(weights, arguments.out / "models")
    found = sweep(lambda arm: attempt(painter, arm, make_cases(arguments.sweep, SWEEP_SEED)))
    arms = [
        Arm(NO_ADAPTER, {}),
        equally(ALL, ALL_BLOCKS),
        equally(ALL_SUBTRACTED, ALL_BLOCKS, subtracted=SUBTRACTED),
        equally(MATCHED, ALL_BLOCKS, found.matched),
        equally(PAPER, (PAPERS_BLOCK,)),
        equally(STYLE, found.style),
        equally(BOTH, found.style, subtracted=SUBTRACTED),
    ]
    cases = make_cases(arguments.cases, REPORT_SEED)
    outcomes = {arm.name: attempt(painter, arm, cases, arguments.out) for arm in arms}
    sizes = {"shapes": len(SHAPES), "looks": len(LOOKS), "count": len(cases)}
    sentences = [
        compared(outcomes, STYLE, ALL, "style blocks leak less than all blocks"),
        compared(outcomes, STYLE, MATCHED, "they leak less at the same share of looks"),
        compared(outcomes, ALL_SUBTRACTED, ALL, "subtraction lowers the leaks of all blocks"),
        compared(outcomes, BOTH, STYLE, "subtraction lowers those of the style blocks"),
    ]
    text = "\n".join([report(found, arms, outcomes, sizes), *sentences, ""])
    arguments.report.write_text(text, encoding="utf-8")
    shares = {name: outcome.shares for name, outcome in outcomes.items()}
    Summary(found.style, found.matched, len(cases), shares).write(arguments.weights)
    print(text)


def attempt(painter: Painter, arm: Arm, cases: Cases, folder: Path | None = None) -> Outcome:
    """Paint and judge; the first pictures are kept in `folder` to look at."""
    pictures = painter.paint(arm, cases)
    if folder is not None:
        for i, picture in enumerate(pictures[:6]):
            as_image(picture).save(folder / f"{arm.name.replace(' ', '_')}-{i}.png")
    outcome = judged(painter.judge, pictures, cases)
    shares = ", ".join(f"{share:.1%}" for share in outcome.shares)
    print(f"{arm.name} {dict(arm.blocks)}: kept, leaked, styled: {shares}", flush=True)
    return outcome


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.effect", description=__doc__)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="where to read them")
    parser.add_argument("--out", type=Path, default=Path("build/effect"))
    parser.add_argument("--report", type=Path, default=Path("docs/effect.md"))
    parser.add_argument("--cases", type=int, default=480)
    parser.add_argument("--sweep", type=int, default=96, help="cases for each block of the sweep")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.out.mkdir(parents=True, exist_ok=True)
    return arguments


if __name__ == "__main__":
    main()
