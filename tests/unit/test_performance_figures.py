"""The figures of docs/performance.md that are counted and not timed are those of the code."""

import re
from pathlib import Path

import pytest
import torch

from tests.bench import unet_calls
from tests.bench.networks import SD15_FULL, SDXL_FULL, diffusers_unet_of, full_unet

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
# Of unet/diffusion_pytorch_model.safetensors in stabilityai/stable-diffusion-xl-base-1.0 and
# stable-diffusion-v1-5/stable-diffusion-v1-5.
PARAMETERS = {"SDXL": (SDXL_FULL, 2_567_463_684), "SD1.5": (SD15_FULL, 859_520_964)}
SIDES = {"SDXL": 128, "SD1.5": 64}  # of a latent


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_benchmarks_unets_are_as_large_as_the_trained_ones(name):
    config, expected = PARAMETERS[name]
    for make in (full_unet, diffusers_unet_of):
        with torch.device("meta"):
            unet = make(config, torch.float16)
        assert sum(each.numel() for each in unet.parameters()) == expected


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_operations_of_a_whole_call_are_those_of_the_document(name):
    (line,) = re.findall(
        rf"^\| {re.escape(name)}, \d+ px[^|]*\|(.* billion .*)\|$",
        DOCUMENT.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    style, everything = unet_calls.operations_added(PARAMETERS[name][0], SIDES[name])
    counted = [style["plain"], style["ours"], style["diffusers"]]
    counted += [everything["ours"], everything["diffusers"]]
    assert everything["plain"] == style["plain"]
    for row in (style, everything):
        assert row["projecting in each call"] == row["diffusers"]
    written = [cell.strip().removesuffix(" billion") for cell in line.split("|")]
    places = [len(text.partition(".")[2]) for text in written]
    assert written == [f"{n / 1e9:,.{p}f}" for n, p in zip(counted, places, strict=True)]
