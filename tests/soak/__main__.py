"""`make soak`: hundreds of generations of every kind in one process, and what they leave behind.

Sizes, presets, units, checkpoints, refused requests, interrupts and exceptions are mixed by a
seeded random choice. At the end resident memory must be where it was after the first third, no
hook may stand on a UNet, and the first picture, asked for again, must be the same file.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.miniature import harness
from tests.soak.memory import FLAT, growth, resident

ROOT = Path(__file__).parents[2]
CHECKPOINTS = ("tiny_sdxl.", "tiny_sd15.")
PRESETS = ("style", "style+layout", "layout", "original", "strong style", "depth: ease in")
ERRORS = ({"weight": 99}, {"adapter": "nobody"}, {"blocks": "77=1"}, {"image": "no picture"})


def pictures() -> list[str]:
    files = sorted((ROOT / "tests" / "pictures").glob("*.jpg"))
    return [base64.b64encode(file.read_bytes()).decode() for file in files]


def hooks_on(webui) -> list[str]:
    return [
        name
        for name, module in webui.sd_model.named_modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks")
        for hook in getattr(module, kind).values()
        if "lib_instantstyle" in getattr(hook, "__module__", "")
    ]


@contextmanager
def at_call(number: int, act) -> Iterator[None]:
    """Do `act` at that call of the UNet."""
    from tests.miniature.networks import UNetModel

    forward = UNetModel.forward
    calls = 0

    def counted(self, *args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return forward(self, *args, **kwargs)

    UNetModel.forward = counted
    try:
        yield
    finally:
        UNetModel.forward = forward


def fail() -> None:
    raise RuntimeError("on purpose")


def styled(*units) -> dict:
    return {"alwayson_scripts": {"InstantStyle": {"args": list(units)}}}


def generate(webui, chance: random.Random, references: list[str]) -> str:
    """One generation of a random kind; its name."""
    kinds = ("styled",) * 5 + ("two units", "plain", "refused", "interrupt", "exception", "hires")
    kind = chance.choice((*kinds, "switch"))
    unit = {
        "image": chance.choice(references),
        "preset": chance.choice(PRESETS),
        "weight": chance.choice((0.5, 1, 1.5)),
        "end": chance.choice((0.5, 1)),
    }
    fields = {
        "seed": chance.randrange(1000),
        "width": chance.choice((64, 96, 128)),
        "height": chance.choice((64, 96)),
        "batch_size": chance.choice((1, 1, 2)),
        "steps": chance.choice((2, 3)),
    }
    calls = chance.randrange(1, 3)
    if kind == "plain":
        webui.txt2img(**fields)
    elif kind == "two units":
        other = {"image": chance.choice(references), "preset": "layout", "weight": 0.7}
        webui.txt2img(**fields, **styled(unit, other))
    elif kind == "refused":
        webui.txt2img(expect=422, **fields, **styled({**unit, **chance.choice(ERRORS)}))
    elif kind == "interrupt":
        with at_call(calls, webui.shared.state.interrupt):
            webui.txt2img(**fields, **styled(unit))
    elif kind == "exception":
        with at_call(calls, fail):
            webui.txt2img(expect=500, **fields, **styled(unit))
    elif kind == "hires":
        hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent"}
        webui.txt2img(**fields, **hires, denoising_strength=0.7, **styled(unit))
    else:
        if kind == "switch":
            webui.use(chance.choice(CHECKPOINTS))
        webui.txt2img(**fields, **styled(unit))
    return kind


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--generations", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        family = Path(tempfile.gettempdir()) / "soak-family"
        webui = harness.boot(folder, ROOT, family=family, page=False)
        references = pictures()
        first = {"seed": 7, **styled({"image": references[0], "preset": "style+layout"})}
        webui.use(CHECKPOINTS[0])
        expected = webui.txt2img(**first).png
        kinds: Counter[str] = Counter()
        memory = []
        started = time.monotonic()
        for _ in range(options.generations):
            kinds[generate(webui, chance, references)] += 1
            assert hooks_on(webui) == []
            webui.reports.clear()  # the miniature keeps what it printed
            memory.append((webui.sd_model.sd_checkpoint_info.model_name, resident()))
        seconds = time.monotonic() - started
        webui.use(CHECKPOINTS[0])
        same = webui.txt2img(**first).png == expected
    ratio = growth(memory)
    print(json.dumps({
        "generations": options.generations, "seconds": round(seconds, 1), "kinds": kinds,
        "resident_mb": [
            (name, round(value / 2**20)) for name, value in memory[:: max(1, len(memory) // 20)]
        ],
        "ratio": round(ratio, 4), "first_picture_again": same,
    }, indent=1))  # fmt: skip
    return 0 if same and ratio <= FLAT else 1


if __name__ == "__main__":
    sys.exit(main())
