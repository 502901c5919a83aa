"""A thousand requests to our routes, good and bad: how long each takes, and what they leave behind.

Every kind of answer that the routes have, and pictures that lie, end early, are none, or would fill
the memory. At the end memory and file handles must be where they were after the first third, and no
request may have taken five seconds.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

from PIL import Image

from tests.miniature import harness
from tests.soak.memory import FLAT, growth, open_files, resident

ROOT = Path(__file__).parents[2]
SLOW = 5.0  # seconds
COFFEE = (ROOT / "tests" / "pictures" / "coffee.jpg").read_bytes()
GETS = ("version", "adapters", "presets", "blocks", "styles")


def text(data: bytes, head: str = "") -> str:
    return head + base64.b64encode(data).decode()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 40,000 by 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(10_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )


def sound(chance: random.Random) -> str:
    """A picture that is never the same, so that nothing is known of it."""
    buffer = io.BytesIO()
    colour = tuple(chance.randrange(256) for _ in range(3))
    Image.new("RGB", (chance.randrange(8, 200), chance.randrange(8, 200)), colour).save(
        buffer, chance.choice(("PNG", "JPEG", "WEBP", "GIF", "BMP"))
    )
    return text(buffer.getvalue())


def hostile(chance: random.Random) -> str:
    return chance.choice(
        (
            text(bomb()),
            text(COFFEE[: chance.randrange(len(COFFEE) - 100)]),
            text(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "data:image/svg+xml;base64,"),
            text(b"<html></html>", "data:text/html;base64,"),
            text(chance.randbytes(chance.randrange(2000))),
            "/etc/passwd",
            "file:///etc/passwd",
            "http://127.0.0.1:9/x.png",
            "a" * chance.randrange(10**6),
        )
    )


def ask(webui, chance: random.Random) -> tuple[str, int]:
    """One request of a random kind: its name, and the status of its answer."""
    kind = chance.choice(("get", "plan", "plan", "embed", "content", "report", "refused", "bytes"))
    unit = {"image": sound(chance), "content": chance.choice(("", "a cup", "a cup | a spoon"))}
    if kind == "get":
        return kind, webui.get(f"/instantstyle/{chance.choice(GETS)}").status_code
    if kind == "plan":
        units = [unit] * chance.randrange(1, 4)
        return kind, webui.post("/instantstyle/plan", {"units": units}).status_code
    if kind == "embed":
        from lib_instantstyle.methods import TABLE
        from lib_instantstyle.styles.library import library

        status = webui.post("/instantstyle/embed", {**unit, "name": "soak"}).status_code
        library(TABLE).delete("soak")
        return kind, status
    if kind == "content":
        return kind, webui.post("/instantstyle/content", {**unit, "count": 0}).status_code
    if kind == "report":
        return kind, webui.post("/instantstyle/report").status_code
    if kind == "refused":
        body = {"units": [{**unit, "image": hostile(chance)}]}
        if chance.random() < 0.5:
            scripts = {"InstantStyle": {"args": body["units"]}}
            return kind, webui.txt2img(expect=None, alwayson_scripts=scripts).status
        answer = webui.post("/instantstyle/plan", body)
        return "plan of a refused picture", answer.status_code
    route = chance.choice(("plan", "embed", "content"))
    sent = chance.choice((b"[" * 10**5, b"{", b"[]", chance.randbytes(1000), b'{"units": 1}'))
    headers = {"content-type": "application/json"}
    return kind, webui.client.post(
        f"/instantstyle/{route}", content=sent, headers=headers
    ).status_code


EXPECTED = {
    "get": 200, "plan": 200, "embed": 200, "content": 200, "report": 200, "refused": 422,
    "plan of a refused picture": 200, "bytes": 422,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.requests", description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        family = Path(tempfile.gettempdir()) / "soak-family"
        webui = harness.boot(folder, ROOT, family=family, page=False)
        webui.use("tiny_sdxl.")
        answers: Counter[str] = Counter()
        memory, files, longest, wrong = [], [], (0.0, ""), []
        for _ in range(options.requests):
            started = time.monotonic()
            kind, status = ask(webui, chance)
            longest = max(longest, (time.monotonic() - started, kind))
            answers[f"{kind}: {status}"] += 1
            if status != EXPECTED[kind]:
                wrong.append((kind, status))
            webui.reports.clear()  # the miniature keeps what it printed
            memory.append(("requests", resident()))
            files.append(open_files())
    third = len(files) // 3
    more_files = max(files[2 * third :]) - max(files[third : 2 * third])
    ratio = growth(memory)
    print(json.dumps({
        "requests": options.requests, "answers": answers, "unexpected": wrong[:10],
        "longest_seconds": (round(longest[0], 2), longest[1]),
        "resident_mb": [round(value / 2**20) for _, value in memory[:: max(1, len(memory) // 10)]],
        "ratio": round(ratio, 4), "open_files": files[:: max(1, len(files) // 10)],
        "more_files": more_files,
    }, indent=1))  # fmt: skip
    flat = ratio <= FLAT and more_files <= 0
    return 0 if flat and not wrong and longest[0] < SLOW else 1


if __name__ == "__main__":
    sys.exit(main())
