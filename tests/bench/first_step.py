"""From the request to the first UNet call: `python -m tests.bench.first_step`, where Gradio is.

In the miniature WebUI, whose models are tiny: what is left is what a request costs beside the
models. Counts what each request does before the first step, and writes the counts into
docs/performance.md; prints the times, as multiples of a plain request's in the same run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.host.generations import UNIT, picture, style
from tests.journey import Journey, followed
from tests.miniature import harness

_ROOT = Path(__file__).parents[2]
DOCUMENT = _ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- first step -->", "<!-- end of first step -->"
_TIMES = 15
_PROJECTIONS = "methods/ip_adapter/projections.py"
COUNTED = {  # what is counted: file and name of the function whose calls are
    "folder scans": ("models/catalog.py", "scan"),
    "model files opened": ("files/model_file.py", "open_regular"),
    "pictures decoded": ("references/pictures.py", "_upright"),
    "encoders loaded": ("clip/image_encoder.py", "load_image_encoder"),
    "encoder runs": ("clip/image_encoder.py", "forward"),
    "projections": (_PROJECTIONS, "image_tokens"),
    "keys or values made": (_PROJECTIONS, "_products"),
}

Requests = Mapping[str, Callable[[], Any]]


def requests(webui: Any) -> Requests:
    """The requests that are counted, in this order, by name."""
    stars = picture("deep_field.jpg")
    other = {**UNIT, "preset": "style+layout"}
    four = [UNIT, {**UNIT, "weight": 0.5}, {"image": stars}, {"image": [UNIT["image"], stars]}]

    def send(*units: Mapping[str, Any], **fields: Any) -> Callable[[], Any]:
        return lambda: webui.txt2img(**style(*units), **fields)

    return {
        "new reference": send(UNIT),
        "known reference": send(UNIT),
        "other seed, weight and prompt": send({**UNIT, "weight": 0.5}, seed=7, prompt="a dog"),
        "other blocks": send(other),
        "a new picture twice, and a known one": send({"image": [stars, stars, UNIT["image"]]}),
        "two units of new pictures": send({**UNIT, "crop": "pad"}, {"image": stars, "crop": "pad"}),
        "four units of known pictures": send(*four),
        "four known units": send(*four),
        "plan of four known units": lambda: webui.post("/instantstyle/plan", style(*four)),
        "plain": lambda: webui.txt2img(),
    }


def follow(webui: Any) -> dict[str, Journey]:
    """The journeys of all requests, with nothing remembered but what the files are."""
    webui.txt2img(**style({**UNIT, "weight": 0.0}))
    webui.post("/instantstyle/plan", style(UNIT))
    _forget()
    found = {}
    for name, send in requests(webui).items():
        with followed() as journey:
            send()
        found[name] = journey
    return found


def _forget() -> None:
    """Forget all pictures and what was made of them; what the files are stays known."""
    from lib_instantstyle.references.pictures import _Readable
    from lib_instantstyle.session import SESSION

    harness.forget_references()
    SESSION.of(_Readable).sizes.clear()


def table(journeys: Mapping[str, Journey]) -> str:
    """The counts as a table."""
    rows = [
        f"| {name} | {' | '.join(str(each.calls[key]) for key in COUNTED.values())} |"
        for name, each in journeys.items()
    ]
    return "\n".join(
        [f"| request | {' | '.join(COUNTED)} |", "|---" * (len(COUNTED) + 1) + "|", *rows]
    )


def times(webui: Any, cases: Requests) -> dict[str, float]:
    """Seconds from each request to its first UNet call: medians, the cases taken in turn."""
    first: list[float] = []
    handle = webui.unet.register_forward_pre_hook(lambda *_: first.append(time.perf_counter()))
    found: dict[str, list[float]] = {name: [] for name in cases}
    try:
        for turn in range(_TIMES + 1):
            for name, send in cases.items():
                first.clear()
                begin = time.perf_counter()
                send()
                if turn:
                    found[name].append(first[0] - begin)
    finally:
        handle.remove()
    return {name: statistics.median(each) for name, each in found.items()}


def _main() -> None:
    webui = harness.session()
    webui.add_extension(_ROOT)
    webui.use("tiny_sdxl.")
    counted = table(follow(webui))
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{counted}\n{END}{after}", encoding="utf-8")
    print(counted, "\n")
    sent = requests(webui)
    cases = {name: sent[name] for name in ("plain", "known reference", "four known units")}
    found = times(webui, cases)
    for name, seconds in found.items():
        more = 1000 * (seconds - found["plain"])
        print(f"{name}: {seconds / found['plain']:.2f} times a plain request, {more:+.1f} ms")


if __name__ == "__main__":
    _main()
