"""One checkpoint, seed and unit give the same style in A1111 and in Forge, row by row."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.host.forge_mode.conftest import ROOT
from tests.miniature.tiny import make_family

A1111_PYTHON = ROOT / ".venv" / "page-3.41" / "bin" / "python"
LAYERS = {"tiny_sdxl": 70, "tiny_sd15": 16}


def record(python: Path | str, family: Path, out: Path) -> dict[str, torch.Tensor]:
    run = [str(python), "-m", "tests.host.forge_mode.added_terms", str(family), str(out)]
    environment = {k: v for k, v in os.environ.items() if k != "MINIATURE"}
    subprocess.run(run, cwd=ROOT, check=True, env=environment)
    return load_file(out)


def test_the_terms_added_in_both_are_equal(tmp_path):
    if not A1111_PYTHON.exists():
        pytest.skip("NOT RUN: the environment with Gradio 3.41 is missing (make test-host)")
    make_family(tmp_path)
    forge = record(sys.executable, tmp_path, tmp_path / "forge.safetensors")
    a1111 = record(A1111_PYTHON, tmp_path, tmp_path / "a1111.safetensors")
    assert forge.keys() == a1111.keys()
    for checkpoint, layers in LAYERS.items():
        assert sum(name.startswith(f"{checkpoint}.") for name in forge) == layers
    for name, term in forge.items():
        assert len(term) == 4 and all(row.abs().max() > 1e-3 for row in term), name
        torch.testing.assert_close(
            term, a1111[name], atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )
        prompt, negative = term[:2], term[2:]
        assert not torch.allclose(prompt, negative, atol=1e-3), name
