"""`make bench`: measure, print a table, write Markdown and JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from lib_instantstyle.layout import SDXL
from lib_instantstyle.units.presets import PRESETS
from tests.bench import files, gpu, off, stages, unet_calls
from tests.bench.networks import SD15_FULL, SDXL_FULL, StyleBlock
from tests.bench.timing import Times
from tests.bench.unet_calls import Measured
from tests.unit import stock

COFFEE = Path(__file__).parents[1] / "pictures" / "coffee.jpg"
VIT_H = CLIPVisionConfig(
    hidden_size=1280,
    intermediate_size=5120,
    num_hidden_layers=32,
    num_attention_heads=16,
    patch_size=14,
    image_size=224,
    projection_dim=1024,
    hidden_act="gelu",
)


def rows_of(times: dict[str, Times]) -> list[dict[str, Any]]:
    plain = times["plain"].median
    return [
        {
            "case": name,
            "seconds": each.median,
            "spread": each.spread,
            "over plain": each.median / plain - 1,
            "in our hooks": each.share if any(each.hooks) else None,
        }
        for name, each in times.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/bench"))
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--without-whole", action="store_true", help="leave out whole UNets")
    given = parser.parse_args()
    report: dict[str, Any] = {
        "machine": f"{os.cpu_count()} processors, {platform.machine()}, "
        f"{torch.get_num_threads()} thread, torch {torch.__version__}",
    }
    for title, content in sections(given.repetitions, not given.without_whole):
        report[title] = content
        write(report, given.out)  # each time: an end before the end loses nothing
    print((given.out / "bench.md").read_text(encoding="utf-8"))


def sections(repetitions: int, whole: bool) -> Iterator[tuple[str, Any]]:
    """Everything that is measured, one after the other: title and figures."""
    yield "off", off.costs()
    yield from compared(
        "SDXL's style block, 1024 tokens, batch 2", unet_calls.style_block(repetitions)
    )
    style = [layer.number for layer in SDXL.layers if layer.block.index in _style_blocks()]
    with tempfile.TemporaryDirectory() as folder:
        for name, projection in (
            ("ip-adapter_sdxl", stock.linear(2048, 1280)),
            ("ip-adapter-plus_sdxl_vit-h", stock.resampler(2048, 1280, 1280)),
        ):
            shapes = {f"image_proj.{k}": s for k, s in projection.items()}
            shapes |= stock.attention(SDXL)
            yield f"opening {name}", files.opening(Path(folder), shapes, style)
    with tempfile.TemporaryDirectory() as folder:
        yield "looking through 500 model files, seconds", files.scanning(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        torch.set_default_dtype(torch.float16)
        network = CLIPVisionModelWithProjection(VIT_H)
        torch.set_default_dtype(torch.float32)
        network.half().save_pretrained(folder)
        yield "building ViT-H", files.building(Path(folder), network)
        del network
        yield "a reference seen by ViT-H, seconds", files.reference(Path(folder), COFFEE)
        shapes = stock.adapter(SDXL, stock.linear(2048, 1024))
        files.write_random(Path(folder, "adapter.safetensors"), shapes)
        yield "stages before the first step, seconds", stages.measure(Path(folder), StyleBlock())
    if whole:
        for name, config, dtype, most in (
            ("SD1.5 UNet", SD15_FULL, torch.float32, repetitions),
            ("SDXL UNet in bfloat16", SDXL_FULL, torch.bfloat16, min(3, repetitions)),
        ):
            style, everything = unet_calls.whole_unet(config, dtype, most, 32)
            yield from compared(f"{name}, 256 px, batch 2, style block", style)
            yield from compared(f"{name}, 256 px, batch 2, all blocks", everything)
    for name, config, cells in (
        ("SDXL at 1024 px", SDXL_FULL, 128),
        ("SD1.5 at 512 px", SD15_FULL, 64),
    ):
        title = f"floating-point operations added to a call of {name}, batch 2"
        yield title, unet_calls.operations_added(config, cells)
    yield "GPU", gpu.measure()


def compared(title: str, found: Measured) -> Iterator[tuple[str, Any]]:
    yield title, rows_of(found.times)
    yield f"{title}: what is added to a plain call", found.added
    yield f"{title}: largest difference from ours", found.distances


def _style_blocks() -> list[int]:
    return list(PRESETS["style"].vector(SDXL))


def write(report: dict[str, Any], out: Path) -> None:
    """Leave the tables in `out` as Markdown and JSON."""
    lines = []
    for title, content in report.items():
        lines.append(f"\n## {title}\n")
        if isinstance(content, list):
            names = list(content[0])
            lines.append("| " + " | ".join(names) + " |")
            lines.append("|---" * len(names) + "|")
            lines += ["| " + " | ".join(map(_cell, row.values())) + " |" for row in content]
        elif isinstance(content, dict):
            lines += [f"- {name}: {_cell(value)}" for name, value in content.items()]
        else:
            lines.append(str(content))
    text = "\n".join(lines).strip() + "\n"
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.md").write_text(text, encoding="utf-8")
    (out / "bench.json").write_text(json.dumps(report, indent=2), encoding="utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    main()
