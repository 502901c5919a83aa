"""`make demo`: what the extension is for, shown with small trained models in the miniature WebUI.

The models of `tests/trained` know twelve shapes in twelve looks. Each row of the sheet is a
reference and a prompt that names another shape: the picture should take the reference's look and
not its shape. What can be checked without judging a picture is checked as it is shown: the selected
blocks, and only these, receive a term; another reference gives another picture; with the extension
off the picture is what it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image

from lib_instantstyle.layout import SDXL
from tests.demo.further import Cell, further_rows
from tests.demo.generating import Demo, difference
from tests.demo.rows import Judging, Row, rows
from tests.demo.sheet import make_sheet
from tests.demo.ways import Way, numbers, ways
from tests.effect.summary import kept_summary
from tests.miniature import harness
from tests.trained.family import CHECKPOINT, WEIGHTS, kept_weights, write_family

ROOT = Path(__file__).parents[2]
DATA = ROOT / "build" / "demo"
HONEST = [
    "Small models, trained on drawings of twelve shapes in twelve looks; they know nothing else.",
    "They show what the method does with a reference, not the quality of SDXL.",
]


def main() -> None:
    arguments = parse_arguments()
    weights = kept_weights(WEIGHTS)
    write_family(weights, DATA / "models")
    webui = harness.boot(DATA, ROOT)
    webui.use(CHECKPOINT)
    demo, judge = Demo(webui), Judging(weights)
    measured = kept_summary(WEIGHTS)
    shown, table = rows(), []
    if file := arguments.reference:
        shown = [Row(Image.open(file).convert("RGB"), "", arguments.prompt, file.name)]
    for row in shown:
        print(f"\n{row.prompt!r}, in the look of {row.title}:")
        cells = []
        for way in ways(measured):
            picture = generated(demo, way, row)
            seen = judge.verdict(picture)
            cells.append((f"{way.title}\nprompt: {row.prompt}\nshows: {seen}", picture))
        table.append([*cells, (f"reference\n{row.title}", row.reference)])
    if not arguments.reference:
        for title, further in further_rows(measured):
            print(f"\n{title}:")
            table.append([shown_cell(demo, judge, cell) for cell in further])
    check_others(demo, shown[0], ways(measured)[-1])

    folder = ROOT / "demo"
    footer = [*numbers(measured), *HONEST]
    save(folder, table, footer)
    print("\n" + "\n".join(footer))
    print(f"\nPictures: {folder}, side by side in {folder / 'sheet.png'}")
    # The last picture is what the page's arrow brings back, with its reference.
    demo.generate(shown[0].prompt, ways(measured)[-1].unit(shown[0]))
    if not arguments.once:
        serve(arguments.port)


def generated(demo: Demo, way: Way, row: Row) -> Image.Image:
    """The picture, if nothing but the blocks of `way` received anything."""
    return checked(demo, way.title, row.prompt, way.unit(row), way.blocks)


def checked(
    demo: Demo, title: str, prompt: str, unit: dict[str, Any] | None, blocks: Sequence[int]
) -> Image.Image:
    """The picture of `unit`, if nothing but its `blocks` received anything."""
    picture, found = demo.generate(prompt, unit)
    expected = {SDXL.blocks[i].diffusers for i in blocks}
    check(set(found) == expected, f"{title}: {_named(found)} received a term")
    return picture


def shown_cell(demo: Demo, judge: Judging, cell: Cell) -> tuple[str, Image.Image]:
    """A picture of a further row with its caption."""
    if cell.picture is not None:
        return cell.title, cell.picture
    picture = checked(demo, cell.title, cell.prompt, cell.unit, cell.blocks)
    seen = judge.verdict(picture)
    return f"{cell.title}\nprompt: {cell.prompt}\nshows: {seen}", picture


def _named(blocks: dict[str, float]) -> str:
    if not blocks:
        return "no block"
    if len(blocks) == len(SDXL.blocks):
        return f"all {len(blocks)} blocks"
    return ", ".join(sorted(blocks))


def check_others(demo: Demo, row: Row, way: Way) -> None:
    """That the reference matters, and that nothing stays behind."""
    print("\nBesides:")
    plain, _ = demo.generate(row.prompt, None)
    styled, _ = demo.generate(row.prompt, way.unit(row))
    grey = replace(row, reference=row.reference.convert("L").convert("RGB"))
    other, _ = demo.generate(row.prompt, way.unit(grey))
    changed = difference(styled, other)
    check(changed > 0, f"the same reference in grey changed the picture by {changed:.1f} levels")
    again, _ = demo.generate(row.prompt, None)
    check(difference(plain, again) == 0, "off again: the plain picture, pixel by pixel")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the pictures")
    parser.add_argument(
        "--reference", type=Path, help="a picture of yours in place of the drawings"
    )
    parser.add_argument("--prompt", default="a star", help="for a reference of yours")
    parser.add_argument("--port", type=int, default=7861, help="of the page that stays open")
    arguments = parser.parse_args()
    if arguments.reference and not arguments.reference.is_file():
        parser.error(f"--reference {arguments.reference} is no file")
    sys.argv = sys.argv[:1]  # the WebUI reads the rest as its own
    return arguments


def check(holds: bool, sentence: str) -> None:
    """Print what was seen, or end with it if it does not hold."""
    print(f"  {'yes' if holds else 'NO '} {sentence}")
    if not holds:
        raise SystemExit("The demo saw something it should not have seen.")


def save(folder: Path, table: list[list[tuple[str, Image.Image]]], footer: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    for number, cells in enumerate(table, 1):
        for column, (_, picture) in enumerate(cells):
            picture.convert("RGB").save(folder / f"{number}-{column}.png")
    make_sheet(table, footer).save(folder / "sheet.png")


def serve(port: int) -> None:
    """Hand over to the WebUI with its page; it prints its address and stays until Ctrl-C."""
    command = ["-m", "tests.miniature", "--port", str(port), "--data-dir", "build/demo"]
    print("\nStarting the page; Ctrl-C ends it. With the prompt empty, the arrow under Generate")
    print(
        "brings back the last picture's prompt, size and reference. Then press Generate.",
        flush=True,
    )
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, *command, "--extension", "."])  # noqa: S606


if __name__ == "__main__":
    main()
