"""Two users at the same time for a long while: nobody's picture changes, nothing is left behind.

Ada paints with SD1.5 and Ben with SDXL, each in a thread. They ask for pictures of a fixed seed,
name references behind an address that dribbles, is silent or breaks off, save styles, change the
checkpoint, look at every list and ask for plans and nonsense. Meanwhile strangers put odd files
into all folders, rename and remove them (`strangers.py`).

At the end each picture must have been the same file as when its user was alone, and nothing that
was asked for may have failed. The median of memory in the last third may be 5 % above that in the
second, its peak 10 %, file handles and threads no more; no hook may stand on the UNet, and no
traceback of ours in the log.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from unittest.mock import patch

from tests.host.watching import hooks_on
from tests.miniature import harness
from tests.miniature.flavour import flavour
from tests.miniature.tiny.linked import link_family
from tests.soak.memory import FLAT, growth, open_files, resident
from tests.soak.strangers import KINDS, nobody_may_read_them
from tests.soak.users import ACTIONS, COFFEE, Addresses, House
from tests.unit.publisher import publisher

ROOT = Path(__file__).parents[2]
PIECE, DELAY = 4096, 0.02  # of the slow address: nine pieces
PEAK = 1.1  # of the most memory at the end of a round, as FLAT is of the median
SILENCE = 5.0  # seconds that an address has here: thirty times what the slow one takes


@contextmanager
def addresses() -> Iterator[Addresses]:
    """One that dribbles, one that breaks off, and one that says nothing."""
    data, kind = base64.b64decode(COFFEE), "image/jpeg"
    with (
        publisher(data, kind=kind, piece=PIECE, delay=DELAY) as slow,
        publisher(data, kind=kind, breaks=[5000] * 10**5) as broken,
        # Connected to, and never accepted: no thread or handle of this process is counted.
        socket.create_server(("127.0.0.1", 0), backlog=1000) as silent,
    ):
        ports = (slow.server_port, broken.server_port, silent.getsockname()[1])
        yield Addresses(*(f"http://127.0.0.1:{port}/coffee.jpg" for port in ports))


def ours_in(log: str) -> list[str]:
    """The tracebacks in a log that go through our code."""
    pieces = log.split("Traceback (most recent call last)")[1:]
    return [piece for piece in pieces if "lib_instantstyle" in piece.split("\n\n")[0]]


def live(house: House, rounds: int, actions: int, seed: int) -> dict[str, list[int]]:
    """What memory, file handles and threads were after each round, with the same checkpoint."""
    chance = random.Random(seed)
    found: dict[str, list[int]] = {"memory": [], "files": [], "threads": []}
    for _ in range(rounds):
        house.together({user.name: chance.choices(ACTIONS, k=actions) for user in house.users})
        house.webui.use("tiny_sd15.")
        house.wrong += [f"a hook stays on {name}" for name in hooks_on(house.webui.sd_model)]
        house.wrong += [f"printed: {text}" for text in house.webui.reports]
        house.webui.reports.clear()
        found["memory"].append(resident())
        found["files"].append(open_files())
        found["threads"].append(threading.active_count())
    return found


def more(counts: list[int]) -> int:
    """By how much the most of the last third exceeds the most of the second."""
    third = len(counts) // 3
    return max(counts[2 * third :]) - max(counts[third : 2 * third])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.together", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--actions", type=int, default=5, help="of each user in a round")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    from lib_instantstyle import limits

    log, began = io.StringIO(), time.monotonic()
    with (
        tempfile.TemporaryDirectory() as folder,
        addresses() as known,
        redirect_stderr(log),
        patch.object(limits, "ADDRESS_SECONDS", SILENCE),
        nobody_may_read_them(),
    ):
        link_family(Path(folder))
        webui = harness.boot(folder, ROOT, page=False)
        house = House(webui, known, Path(folder) / "models")
        house.alone()
        found = live(house, options.rounds, options.actions, options.seed)
        house.strangers.leave()
        for user in house.users:
            house.compare_all(user)
    memory = [("tiny_sd15", value) for value in found["memory"]]
    ratio, peak = growth(memory, statistics.median), growth(memory)
    wrong = [*house.wrong, *ours_in(log.getvalue())]
    left = {name: more(found[name]) for name in ("files", "threads")}
    step = max(1, options.rounds // 10)
    print(json.dumps({
        "webui": flavour(), "rounds": options.rounds, "done": house.done,
        "pictures_compared": house.compared, "acts_of_strangers": house.strangers.acts,
        "kinds_of_odd_files": f"{len(house.strangers.met)} of {len(KINDS)}",
        "seconds": round(time.monotonic() - began, 1), "wrong": wrong[:10],
        "resident_mb": [round(value / 2**20) for value in found["memory"]],
        "ratio": round(ratio, 4), "peak_ratio": round(peak, 4),
        "open_files": found["files"][::step], "threads": found["threads"][::step], "more": left,
    }, indent=1))  # fmt: skip
    flat = ratio <= FLAT and peak <= PEAK and max(left.values()) <= 0
    return 0 if flat and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
