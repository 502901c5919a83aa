"""Generates and judges the pictures of arms, several at a time; each arm once, as it is kept."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from tests.effect.arms import Arm, Cases, make_cases
from tests.effect.outcome import Outcome, judged
from tests.effect.painter import CFG, STEPS, Painter
from tests.effect.pairs import named, pairs
from tests.miniature.tiny.files import write_text
from tests.trained.family import STAGES, kept_weights
from tests.trained.world import as_image

Verdicts = tuple[Outcome, Outcome]  # of the two judges, on the same pictures
_SHOWN = 6  # pictures of each arm that are kept to look at
_painter: Painter | None = None  # of a worker's process


@dataclass(frozen=True)
class Trials:
    """weights: their folder; out: a folder for what is found; cases and seed: see make_cases.
    two: the cases of `pairs`, which have two references; named: those of `named`, whose prompts
    name a look."""

    weights: Path
    out: Path
    cases: int
    seed: int
    workers: int = 1
    two: bool = False
    named: bool = False

    def __call__(self, arms: Sequence[Arm]) -> list[Verdicts]:
        """In the arms' order. A call that was stopped goes on where it was."""
        files = [self._file(arm) for arm in arms]
        missing = [pair for pair in zip(arms, files, strict=True) if not pair[1].is_file()]
        if missing:
            self._paint(missing)
        return [_read(file) for file in files]

    def _paint(self, missing: Sequence[tuple[Arm, Path]]) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        spawn = multiprocessing.get_context("spawn")
        start = (self.weights, self.out / "models")
        with ProcessPoolExecutor(self.workers, spawn, _begin, start) as pool:
            tasks = [pool.submit(_try, *each, self) for each in missing]
            for task in tasks:
                print(task.result(), flush=True)

    def make_cases(self) -> Cases:
        if self.named:
            return named(self.cases, self.seed)
        return pairs(self.cases, self.seed)[0] if self.two else make_cases(self.cases, self.seed)

    def _file(self, arm: Arm) -> Path:
        """Named by all that decides what is found: weights, arm, cases, sampling."""
        of_cases = (self.cases, self.seed, self.two, *(["named"] if self.named else ()))
        told = hashlib.sha256(repr((arm.key, *of_cases, STEPS, CFG)).encode())
        for stage in STAGES:
            told.update((self.weights / f"{stage}.safetensors").read_bytes())
        return self.out / "found" / f"{told.hexdigest()[:24]}.json"


def _begin(weights: Path, models: Path) -> None:
    global _painter
    torch.set_num_threads(1)
    _painter = Painter(kept_weights(weights), models)


def _try(arm: Arm, file: Path, trials: Trials) -> str:
    """Generate, judge and write down; a line to print."""
    assert _painter is not None
    cases = trials.make_cases()
    pictures = _painter.paint(arm, cases)
    found = [judged(judge, pictures, cases) for judge in _painter.judges]
    shown = file.parent.parent / "pictures"
    shown.mkdir(parents=True, exist_ok=True)
    for i, picture in enumerate(pictures[:_SHOWN]):
        as_image(picture).save(shown / f"{file.stem}-{i}.png")
    rows = [
        {key: "".join("01"[hit] for hit in hits) for key, hits in asdict(o).items()} for o in found
    ]
    write_text(file, json.dumps({"arm": arm.name, "key": arm.key, "judges": rows}, indent=1))
    shares = "; ".join(", ".join(f"{value:.1%}" for value in o.shares) for o in found)
    return f"{arm.name} {dict(arm.blocks)} {dict(arm.fields)}: kept, leaked, styled: {shares}"


def _read(file: Path) -> Verdicts:
    kept = json.loads(file.read_text(encoding="utf-8"))["judges"]
    first, second = (
        Outcome(**{key: np.array([mark == "1" for mark in hits]) for key, hits in one.items()})
        for one in kept
    )
    return first, second
