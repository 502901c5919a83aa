"""python -m tests.trained --out DIR: train the miniature's models, or go on with it."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch

from .family import STAGES, keep_weights, kept_weights, write_family
from .progress import measure, picture_sheet
from .stages import COURSES, LAST, Study


def main() -> None:
    args = parse_arguments()
    courses = dict(COURSES)
    for field in ("steps", "batch"):
        for name, value in getattr(args, field):
            courses[name] = replace(courses[name], **{field: value})
    study = Study(args.out, courses, args.device, args.compile)
    until = None if args.minutes is None else time.monotonic() + 60 * args.minutes
    if args.minutes != 0:
        study.run(until, args.only)
    for name in courses:
        print(f"{name}: step {study.training(name).step} of {courses[name].steps}")
    if args.look:
        print(json.dumps(measure(study)))
        picture_sheet(study).save(args.out / "progress.png")
    if all(map(study.is_done, courses)):
        kept = keep_weights(
            {name: study.mean(LAST.get(name, name)) for name in STAGES}, args.out / "weights"
        )
        made = write_family(kept_weights(args.out / "weights"), args.out / "models")
        for path in (*kept, *made.values()):
            print(f"{path.stat().st_size / 1e6:8.2f} MB  {path}")


def parse_arguments() -> argparse.Namespace:
    def pair(text: str) -> tuple[str, int]:
        name, _, value = text.partition("=")
        if name not in COURSES:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(COURSES)}")
        return name, int(value)

    parser = argparse.ArgumentParser(prog="python -m tests.trained", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="checkpoints, logs and models")
    parser.add_argument("--minutes", type=float, help="stop then; 0 trains nothing")
    parser.add_argument("--only", choices=list(COURSES), help="train this stage alone")
    parser.add_argument("--look", action="store_true", help="measure, and paint progress.png")
    parser.add_argument("--device", default="cpu", help="cpu, cuda")
    parser.add_argument("--compile", action="store_true", help="compile the base: quicker")
    parser.add_argument("--threads", type=int, default=1)
    for field in ("steps", "batch"):
        parser.add_argument(f"--{field}", type=pair, action="append", default=[], metavar="STAGE=N")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    return args


if __name__ == "__main__":
    main()
