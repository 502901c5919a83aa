"""One checkpoint, seed and unit give the same style in A1111, Forge and Forge Classic, by rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.host.generations import ROOT
from tests.miniature.flavour import A1111, CLASSIC, FORGE
from tests.miniature.tiny.linked import link_family

A1111_PYTHON = ROOT / ".venv" / "page-3.41" / "bin" / "python"
LAYERS = {"tiny_sdxl": 70, "tiny_sd15": 16}


def record(python: Path | str, folder: Path, flavour: str) -> dict[str, torch.Tensor]:
    data, out = folder / flavour, folder / f"{flavour}.safetensors"
    link_family(data)
    run = [str(python), "-m", "tests.host.forge_mode.added_terms", str(data), str(out)]
    subprocess.run(run, cwd=ROOT, check=True, env={**os.environ, "MINIATURE": flavour})
    return load_file(out)


def test_the_terms_added_in_all_are_equal(tmp_path):
    if not A1111_PYTHON.exists():
        pytest.skip("NOT RUN: the environment with Gradio 3.41 is missing (make test-host)")
    forge = record(sys.executable, tmp_path, FORGE)
    a1111 = record(A1111_PYTHON, tmp_path, A1111)
    classic = record(A1111_PYTHON, tmp_path, CLASSIC)
    assert forge.keys() == a1111.keys() == classic.keys()
    for checkpoint, layers in LAYERS.items():
        assert sum(name.startswith(f"{checkpoint}.") for name in forge) == layers
    for name, term in forge.items():
        assert len(term) == 4 and all(row.abs().max() > 1e-3 for row in term), name
        exact = 1e-5 * float(term.abs().max())  # each adds up numbers in an order of its own
        for other in (a1111, classic):
            torch.testing.assert_close(
                other[name], term, atol=exact, rtol=0, msg=lambda m, n=name: f"{n}: {m}"
            )
        prompt, negative = term[:2], term[2:]
        assert not torch.allclose(prompt, negative, atol=1e-3), name
