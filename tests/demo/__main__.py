"""`make demo`: stylise a first picture in the miniature WebUI and show what happened.

The models are tiny and random, so the pictures are coloured noise. What can be shown with them is
checked as it is shown: the selected blocks, and only these, receive a term; another reference
gives another picture; with the extension off the picture is what it was.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from lib_instantstyle.pure.layers import SDXL
from lib_instantstyle.pure.presets import PRESETS
from tests.demo.sheet import make_sheet
from tests.demo.terms import added_terms, touched_blocks
from tests.miniature import harness

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "tests" / "pictures"
SETTINGS = {"steps": 8, "width": 256, "height": 256, "seed": 5}
SETTINGS |= {"sampler_name": "Euler", "scheduler": "Automatic"}
PRESETS_SHOWN = ("style", "style+layout", "original")
HONEST = [
    "Tiny models with random weights: the pictures are coloured noise, and no cat will appear.",
    "They show that the reference reaches the picture, through the selected blocks only, and that",
    "another reference gives another picture. What a trained model paints they cannot show.",
]


def main() -> None:
    arguments = parse_arguments()
    webui = harness.boot(ROOT / "build" / "demo", ROOT)
    webui.use("tiny_sdxl.")
    demo = Demo(webui, arguments.prompt)
    reference = arguments.reference
    pictures_here = sorted(PICTURES.glob("*.jpg"), reverse=True)
    other = next(p for p in pictures_here if p.read_bytes() != reference.read_bytes())

    plain, blocks = demo.generate()
    check(not blocks, "without a unit no block received anything")
    pictures = [("reference\n" + reference.name, Image.open(reference)), ("plain\nno unit", plain)]
    for preset in PRESETS_SHOWN:
        picture, blocks = demo.generate(reference, preset)
        expected = {SDXL.blocks[i].diffusers for i in PRESETS[preset].vector(SDXL)}
        check(set(blocks) == expected, f"{preset}: exactly these blocks received a term:")
        for name, share in sorted(blocks.items()):
            print(f"      {name:28} {share:6.1%} of the text attention's norm")
        changed = difference(plain, picture)
        check(changed > 0, f"{preset}: the picture changed by {changed:.1f} of 255 levels")
        pictures.append((f"preset {preset}\n{len(blocks)} of {len(SDXL.blocks)} blocks", picture))
    styled = pictures[2][1]
    picture, _ = demo.generate(other, "style")
    changed = difference(styled, picture)
    check(changed > 0, f"another reference changed it by {changed:.1f} levels")
    pictures.append((f"preset style\nof {other.name}", picture))
    again, _ = demo.generate()
    check(difference(plain, again) == 0, "off again: the plain picture, pixel by pixel")

    folder = ROOT / "demo"
    save(folder, pictures)
    print("\n" + "\n".join(HONEST))
    print(f"\nPictures: {folder}, side by side in {folder / 'sheet.png'}")
    if not arguments.once:
        serve(arguments.port)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the pictures")
    parser.add_argument("--reference", type=Path, default=PICTURES / "coffee.jpg")
    parser.add_argument("--prompt", default="a cat on a table")
    parser.add_argument("--port", type=int, default=7861, help="of the page that stays open")
    arguments = parser.parse_args()
    if not arguments.reference.is_file():
        parser.error(f"--reference {arguments.reference} is no file")
    sys.argv = sys.argv[:1]  # the WebUI reads the rest as its own
    return arguments


class Demo:
    """Requests to the API as any client makes them, while the UNet is watched."""

    def __init__(self, webui: harness.WebUI, prompt: str) -> None:
        self._webui = webui
        self._prompt = prompt

    def generate(
        self, reference: Path | None = None, preset: str = "style"
    ) -> tuple[Image.Image, dict[str, float]]:
        """A picture, and the blocks that something was added to, with its share."""
        units = []
        if reference:
            text = base64.b64encode(reference.read_bytes()).decode()
            units = [{"image": text, "preset": preset}]
        with added_terms(self._webui.unet) as shares:
            answer = self._webui.txt2img(
                prompt=self._prompt,
                alwayson_scripts={"InstantStyle": {"args": units}},
                **SETTINGS,
            )
        return answer.images[0].convert("RGB"), touched_blocks(shares)


def difference(a: Image.Image, b: Image.Image) -> float:
    """Mean absolute difference in 8-bit levels."""
    return float(np.abs(np.asarray(a, np.float32) - np.asarray(b, np.float32)).mean())


def check(holds: bool, sentence: str) -> None:
    """Print what was seen, or end with it if it does not hold."""
    print(f"  {'yes' if holds else 'NO '} {sentence}")
    if not holds:
        raise SystemExit("The demo saw something it should not have seen.")


def save(folder: Path, pictures: list[tuple[str, Image.Image]]) -> None:
    folder.mkdir(exist_ok=True)
    for caption, picture in pictures:
        name = "-".join(caption.split("\n")).replace(" ", "_").replace(".jpg", "")
        picture.convert("RGB").save(folder / f"{name}.png")
    make_sheet(pictures, HONEST).save(folder / "sheet.png")


def serve(port: int) -> None:
    """Hand over to the WebUI with its page; it prints its address and stays until Ctrl-C."""
    command = ["-m", "tests.miniature", "--port", str(port), "--data-dir", "build/demo"]
    print("\nStarting the page; Ctrl-C ends it.", flush=True)
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, *command, "--extension", "."])  # noqa: S606


if __name__ == "__main__":
    main()
