"""Starting a WebUI for tests: the miniature, or a real one that is installed somewhere.

A real WebUI gets a data folder of its own, so nothing is written into its installation.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.__main__ import which
from tests.miniature.tiny.linked import link_family

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
BOOT_SECONDS = 300
CONFIG = {
    "live_previews_enable": False,
    "show_progress_every_n_steps": -1,
    "samples_save": False,
    "grid_save": False,
    "save_images_before_highres_fix": False,
    "sd_model_checkpoint": "tiny_sdxl.safetensors",
}
NEO_PYTHON = {"VERSION_UID": "PY313"}  # without it Neo asks at its first start, and waits


def add_twin(data: Path) -> None:
    """A second SD1.5 checkpoint with the same weights, for what switches between two."""
    folder = data / "models" / "Stable-diffusion"
    for suffix in (".safetensors", ".yaml"):
        twin = folder / f"tiny_sd15_twin{suffix}"
        if not twin.exists():
            shutil.copyfile(folder / f"tiny_sd15{suffix}", twin)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def miniature(data: Path, *flags: str) -> Iterator[str]:
    """The miniature WebUI; yields its address."""
    port = free_port()
    link_family(data)
    add_twin(data)
    command = [sys.executable, "-m", "tests.miniature", "--port", str(port)]
    command += ["--data-dir", str(data), "--extension", f"sd-webui-instantstyle={ROOT}"]
    command += ["--short-settings", *flags]
    with _running(command, ROOT, data / "webui.log", r"\bready\b"):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def real(
    folder: Path, python: Path, data: Path, *flags: str, extensions: Sequence[Path] = ()
) -> Iterator[str]:
    """A real WebUI installed in `folder`, with more `extensions`; yields its address."""
    port = free_port()
    # Made by the WebUI's own Python, which has the vocabulary of its tokenizers.
    make = [str(python), "-m", "tests.miniature.tiny", "--out", str(data)]
    subprocess.run(make, cwd=ROOT, check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    add_twin(data)
    (data / "extensions").mkdir(exist_ok=True)
    linked = {"sd-webui-instantstyle": ROOT, **{each.name: each for each in extensions}}
    for name, target in linked.items():
        link = data / "extensions" / name
        if not link.exists():
            link.symlink_to(target, target_is_directory=True)
    host = which(folder)
    config = CONFIG | (NEO_PYTHON if host == "neo" else {})
    (data / "config.json").write_text(json.dumps(config), encoding="utf-8")
    command = [str(python), "-u", "launch.py", "--data-dir", str(data)]
    command += ["--skip-prepare-environment", "--skip-install", "--skip-torch-cuda-test"]
    command += ["--skip-version-check", "--api", "--server-name", "127.0.0.1"]
    # A WebUI that is given an address thinks that strangers come, even where it is this machine's.
    command += ["--enable-insecure-extension-access"]
    command += ["--port", str(port), *_processor(host, flags), *flags]
    # The port is not asked before the log says so: a request during the boot would end it. The
    # first checkpoint is loaded beside, and is sometimes there first; Forge and Neo load it with
    # the first picture.
    ready = r"(?s)(?=.*Startup time:)"
    if host in ("forge", "neo"):
        (data / "tmp").mkdir(exist_ok=True)
        command += ["--gradio-allowed-path", str(folder)]  # its own JavaScript is not in `data`
    else:
        ready += r"(?=.*Model loaded in)"
    # Not even compiled files are written into the installation.
    with _running(command, folder, data / "webui.log", ready, PYTHONDONTWRITEBYTECODE="1"):
        yield f"http://127.0.0.1:{port}"


def _processor(host: str, flags: Sequence[str]) -> list[str]:
    """The flags by which a WebUI runs on the processor, in single precision, and loads nothing."""
    if host == "neo":
        return ["--cpu"]
    found = ["--always-cpu"] if host == "forge" else []
    found += ["--use-cpu", "all", "--do-not-download-clip", "--no-download-sd-model"]
    return found + ([] if "--precision" in flags else ["--no-half"])


@contextmanager
def _running(
    command: list[str], folder: Path, log: Path, ready: str, **more: str
) -> Iterator[None]:
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        # Tiny operations lose more to waiting for a second thread than they gain by it.
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        **more,
    }
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + BOOT_SECONDS
            while not re.search(ready, log.read_text(encoding="utf-8", errors="replace")):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{command[:4]} did not start:\n{log.read_text()[-4000:]}")
                time.sleep(0.3)
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
