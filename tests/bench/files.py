"""Opening adapters and building encoders, against the usual way."""

from __future__ import annotations

import base64
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load_file, save_file

from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.files.tensors import open_tensors
from lib_instantstyle.layout import SDXL
from lib_instantstyle.methods.ip_adapter import projections as adapter_module
from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references import vectors
from lib_instantstyle.references.pictures import decode_picture
from lib_instantstyle.references.vectors import EmbeddingFiles
from lib_instantstyle.references.views import reference_input
from lib_instantstyle.session import SESSION
from tests.unit import stock

# The largest resident memory of a process begins with that of the one that started it (getrusage),
# unless it is set back.
MEASURE = """
import re, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
{load}
def memory(field):
    status = Path("/proc/self/status").read_text()
    return int(re.search(field + r":\\s+(\\d+)", status)[1]) * 1024
Path("/proc/self/clear_refs").write_text("5")
before, begin = memory("VmRSS"), time.perf_counter()
encoder = build()
for parameter in encoder.parameters():
    parameter.max()  # what is mapped counts once it is read
print(memory("VmHWM") - before, time.perf_counter() - begin)
"""
OURS = """
from pathlib import Path
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.clip.image_encoder import load_image_encoder
(encoder_file,) = scan([Path({folder!r})]).image_encoders
def build():
    path, kind = encoder_file.path, encoder_file.kind
    return load_image_encoder(path, kind, torch.device("cpu"), torch.float16, False)
"""
THEIRS = """
from transformers import CLIPVisionModelWithProjection
def build():
    return CLIPVisionModelWithProjection.from_pretrained({folder!r}, dtype=torch.float16)
"""


def write_random(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    """A model file of these shapes, with random numbers in half precision."""
    generator = torch.Generator().manual_seed(0)
    save_file(
        {
            name: (torch.randn(shape, generator=generator) * 0.02).half()
            for name, shape in shapes.items()
        },
        path,
    )


def opening(folder: Path, shapes: dict[str, tuple[int, ...]], numbers: Any) -> dict[str, Any]:
    """Bytes read and seconds for the layers `numbers`, for all layers, and for the whole file."""
    path = folder / "adapter.safetensors"
    write_random(path, shapes)
    (adapter,) = scan([folder]).adapters
    cpu = torch.device("cpu")
    width = adapter.kind.projection.feature_width
    hidden = adapter.kind.projection.takes_hidden_states
    features = torch.randn(2, 257, width) if hidden else torch.randn(2, width)
    read: list[int] = []

    def prepare(which: Any) -> Callable[[], None]:
        def run() -> None:
            read.clear()
            with mock.patch.object(adapter_module, "open_tensors", _counting(read)):
                tokens = image_tokens(path, adapter.kind, features, cpu)
                keys_and_values(path, which, tokens)

        return run

    result: dict[str, Any] = {"file": path.stat().st_size}
    for name, run in (
        ("style", prepare(numbers)),
        ("all", prepare(sorted(adapter.kind.layer_widths))),
        ("whole file", lambda: load_file(path)),
    ):
        seconds = []
        for _ in range(3):
            begin = time.perf_counter()
            with torch.no_grad():
                run()
            seconds.append(time.perf_counter() - begin)
        result[name] = {"seconds": sorted(seconds)[1], "bytes": sum(read) or path.stat().st_size}
        read.clear()
    path.unlink()
    return result


def scanning(folder: Path, count: int = 500) -> dict[str, float]:
    """Seconds to look through `folder` with `count` adapters: first, and when none has changed."""
    shapes = stock.adapter(SDXL, stock.linear(2048, 1280))
    for number in range(count):
        stock.write_hole(folder / f"{number % 5}" / f"{number:03}.safetensors", shapes)
    SESSION.clear()
    seconds = []
    for _ in range(10):
        begin = time.perf_counter()
        scan([folder])
        seconds.append(time.perf_counter() - begin)
    first, again = seconds[0], statistics.median(seconds[1:])
    return {"first": first, "unchanged": again, "unchanged over first": again / first}


def _counting(read: list[int]) -> Callable[..., Any]:
    class Counted:
        def __init__(self, *arguments: Any) -> None:
            self._context = open_tensors(*arguments)

        def __enter__(self) -> Any:
            self._reader = self._context.__enter__()
            return self._reader

        def __exit__(self, *error: Any) -> Any:
            read.append(self._reader.bytes_read)
            return self._context.__exit__(*error)

    return Counted


def building(folder: Path, network: Any) -> dict[str, Any]:
    """Peak memory over the size of the weights, each read once, and seconds; in its own process.

    network: a transformers vision model, whose weights in half precision are what is built.
    """
    weights = sum(p.numel() * 2 for p in network.parameters())
    result: dict[str, Any] = {"weights": weights}
    if not Path("/proc/self/clear_refs").exists():
        return {**result, "peak": "not measured: only Linux tells"}
    for name, load in (("ours", OURS), ("transformers", THEIRS)):
        program = MEASURE.format(load=load.format(folder=str(folder)))
        answer = subprocess.run(
            [sys.executable, "-c", program], check=True, capture_output=True, text=True
        )
        grown, seconds = map(float, answer.stdout.split()[-2:])
        result[name] = {"peak": grown / weights, "seconds": seconds}
    return result


def reference(folder: Path, picture: Path) -> dict[str, Any]:
    """Seconds from the file of a reference to what the encoder in `folder` makes of it.

    new: the encoder is built, runs in float32 and is let go. known: from memory, and from disk.
    """
    (encoder_file,) = scan([folder]).image_encoders
    text = base64.b64encode(picture.read_bytes()).decode()
    files = EmbeddingFiles(BoundedFolder(folder / "embeddings", ".safetensors", 2**26))
    result: dict[str, Any] = {}
    for name, forget in (("new", True), ("known", False), ("known from disk", True)):
        if forget:
            vectors.cache().tensors.clear()
        begin = time.perf_counter()
        with torch.no_grad():
            encoder_input = reference_input(decode_picture(text))
            embeds = vectors.ImageEmbeds(torch.device("cpu"), torch.float32, files=files)
            embeds.encode([encoder_input], encoder_file, hidden=False)
        result[name] = time.perf_counter() - begin
    return result
