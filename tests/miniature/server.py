"""The miniature as a program of its own, for tests that need a real port."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.miniature import ROOT
from tests.waiting import HANGS

READY = re.compile(r"ready: (http\S+)")


@dataclass
class Server:
    process: subprocess.Popen
    url: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def log(self) -> str:
        return "".join(self.lines)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def flag_arguments(flags: dict) -> list[str]:
    """{"api_auth": "a:b", "nowebui": True} -> ["--api-auth", "a:b", "--nowebui"]."""
    arguments: list[str] = []
    for name, value in flags.items():
        flag = "--" + name.replace("_", "-")
        for item in value if isinstance(value, (list, tuple)) else [value]:
            if item is True:
                arguments.append(flag)
            elif item is not None and item is not False:
                arguments += [flag, str(item)]
    return arguments


@contextmanager
def serve(
    data_dir: Path | str,
    extension: Path | str | list | None = None,
    *,
    port: int | None = None,
    timeout: float = HANGS,
    python: str = sys.executable,
    **flags,
) -> Iterator[Server]:
    """Starts it, waits for the line with `ready`, ends it. Nothing is asked of the port before."""
    command = [
        python,
        "-u",
        "-m",
        "tests.miniature",
        "--port",
        str(port or free_port()),
        *flag_arguments({"data_dir": data_dir, "extension": extension, **flags}),
    ]
    process = subprocess.Popen(
        command, cwd=ROOT.parents[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    server = Server(process)
    answered = threading.Event()

    def read() -> None:
        for line in process.stdout:
            server.lines.append(line)
            found = READY.search(line)
            if found:
                server.url = found[1]
                answered.set()
        answered.set()

    threading.Thread(target=read, daemon=True).start()
    try:
        if not answered.wait(timeout) or not server.url:
            time.sleep(0.2)
            raise RuntimeError(f"the miniature did not become ready:\n{server.log}")
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
