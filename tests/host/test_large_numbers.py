"""Weights that are finite in their file and not where they are used: a sentence, and no picture."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.host.generations import UNIT, style
from tests.host.watching import hooks_on

NAME = "too-large"


def models():
    from modules import paths_internal

    return Path(paths_internal.models_path)


@pytest.fixture
def scaled(webui):
    """Write the tiny adapter with some of its tensors multiplied; it is gone afterwards."""
    path = models() / "InstantStyle" / f"{NAME}.safetensors"
    tensors = load_file(next(models().rglob("ip-adapter_sd15.safetensors")))

    def write(factor, part="", dtype=torch.float32):
        path.parent.mkdir(exist_ok=True)
        save_file(
            {
                name: (tensor.double() * (factor if part in name else 1.0)).to(dtype)
                for name, tensor in tensors.items()
            },
            path,
        )

    yield write
    path.unlink(missing_ok=True)


TOO_LARGE = [
    (1e300, "", torch.float64),
    (1e300, "to_v_ip", torch.float64),
    (1e300, "image_proj.norm.weight", torch.float64),
    (1e20, "", torch.float32),
    (1e20, "to_k_ip", torch.float32),
    (1e20, "to_v_ip", torch.float32),
    (1e20, "image_proj.proj", torch.float32),
    (1e20, "image_proj.norm", torch.float32),
    (1e20, "to_v_ip", torch.float64),
    (1e30, "to_v_ip", torch.float32),
    (1e30, "image_proj.proj.weight", torch.bfloat16),
    (1e17, "to_v_ip", torch.float32),
]


@pytest.mark.parametrize(("factor", "part", "dtype"), TOO_LARGE)
def test_the_file_is_named_and_no_picture_made(webui, scaled, factor, part, dtype):
    scaled(factor, part, dtype)
    unit = {**UNIT, "adapter": NAME, "preset": "original"}
    sentence = webui.txt2img(expect=422, **style(unit)).body["detail"]
    assert f"{NAME}.safetensors" in sentence and sentence.startswith("unit 1: ")
    assert str(models()) not in sentence
    assert hooks_on(webui.sd_model) == []


@pytest.mark.parametrize("factor", [1e2, 1e6, 1e10, 1e14])
@pytest.mark.parametrize("part", ["to_k_ip", "to_v_ip"])
def test_what_can_be_computed_is(webui, scaled, factor, part):
    scaled(factor, part)
    unit = {**UNIT, "adapter": NAME, "preset": "original"}
    assert webui.txt2img(**style(unit)).pixels != webui.txt2img().pixels
