"""The way of a request through the package: files entered, changes of room, walks and scans.

    make journey

prints it for some requests to the miniature WebUI, and writes it into docs/architecture.md. A file
counts once a function of it is called; what is run while a file is imported does not count. Rooms
change along the order in which files are entered for the first time.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- journey -->", "<!-- end of journey -->"
_PACKAGE = f"{ROOT / 'lib_instantstyle'}/"


@dataclass
class Journey:
    """What was counted of one request."""

    files: list[str] = field(default_factory=list)  # in the order of their first call
    walks: int = 0  # of the UNet's modules, by our code
    # How often each function was called, by its file and name.
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def scans(self) -> int:
        """How often the model folders were scanned."""
        return self.calls["models/catalog.py", "scan"]

    @property
    def changes_of_room(self) -> int:
        """How often a file of another room is entered than the one before."""
        rooms = [name.split("/")[0] for name in self.files]
        return sum(one != other for one, other in pairwise(rooms))


@contextmanager
def followed() -> Iterator[Journey]:
    """Follow what is called in this block, in all threads."""
    from torch import nn

    journey = Journey()
    walk = nn.Module.named_modules

    def named_modules(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        ours = sys._getframe(1).f_code.co_filename.startswith(_PACKAGE)
        journey.walks += ours and type(module).__name__ == "UNetModel"
        return walk(module, *args, **kwargs)

    def event(frame: FrameType, kind: str, argument: Any) -> None:
        code = frame.f_code
        if kind != "call" or not code.co_filename.startswith(_PACKAGE) or _imports(frame):
            return
        name = code.co_filename.removeprefix(_PACKAGE)
        if name not in journey.files:
            journey.files.append(name)
        journey.calls[name, code.co_name] += 1

    nn.Module.named_modules = named_modules  # type: ignore[method-assign]
    threading.setprofile(event)
    sys.setprofile(event)
    try:
        yield journey
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        nn.Module.named_modules = walk  # type: ignore[method-assign]


def _imports(frame: FrameType | None) -> bool:
    """Whether a file of ours is being imported."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and code.co_filename.startswith(_PACKAGE):
            return True
        frame = frame.f_back
    return False


def requests(webui: Any) -> dict[str, Callable[[], Any]]:
    """The requests that are followed, by name; a saved style `ink` must be there."""
    from tests.host.generations import UNIT, picture, style

    stars = picture("deep_field.jpg")
    content = {**UNIT, "content": "a cup"}
    styleid = {**UNIT, "method": "styleid"}
    return {
        "plain image": lambda: webui.txt2img(**style(UNIT)),
        "content": lambda: webui.txt2img(**style(content)),
        "StyleID": lambda: webui.img2img(
            None, init_images=[stars], denoising_strength=1.0, **style(styleid)
        ),
        "prompt tag": lambda: webui.txt2img(prompt="a cat <instantstyle:ink:0.8>"),
        "plan": lambda: webui.post("/instantstyle/plan", style(UNIT)),
        "off": lambda: webui.txt2img(),
    }


def follow(webui: Any) -> dict[str, Journey]:
    """The journeys of all requests, each made once before."""
    found = {}
    for name, send in requests(webui).items():
        send()
        with followed() as journey:
            send()
        found[name] = journey
    return found


def table(journeys: dict[str, Journey]) -> str:
    """The journeys as a table."""
    rows = [
        f"| {name} | {len(each.files)} | {each.changes_of_room} | {each.walks} | {each.scans} |"
        for name, each in journeys.items()
    ]
    head = "| request | files entered | changes of room | UNet walks | folder scans |"
    return "\n".join([head, "|---|---|---|---|---|", *rows])


def _main() -> None:
    from tests.host.generations import UNIT
    from tests.miniature import harness

    webui = harness.session()
    webui.add_extension(ROOT)
    webui.use("tiny_sdxl.")
    webui.post("/instantstyle/embed", {"name": "ink", **UNIT})
    journeys = follow(webui)
    print(table(journeys))
    for name, journey in journeys.items():
        print(f"\n{name}:", *journey.files, sep="\n  ")
    text = DOCUMENT.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(journeys)}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    _main()
