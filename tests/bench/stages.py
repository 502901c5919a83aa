"""What each stage takes before the first sampling step, at real widths with random weights.

The parts of a generation that prepare its style, without a WebUI around them. The first UNet call
then gathers keys and values for its rows, which the tables of UNet calls contain.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from unittest import mock

import torch
from PIL import Image
from torch import nn

from lib_instantstyle.hosts import context
from lib_instantstyle.session import SESSION
from lib_instantstyle.stages import HOOKS, STAGES, StageClock, watched
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.engine import inject
from tests.unit.webui_host import Host, prepared
from tests.units import parse_arguments

_SIDES = (1024, 768)  # of the references in pixels
_CLOCK = Clock(lambda *call: (PROMPT, NEGATIVE), lambda: 0.0)


class StyledUnet(Protocol):
    """A UNet, or a part of one, that says where its layers are."""

    def layers(self) -> UnetLayers:
        """As find_layers would name them in a whole UNet."""


def measure(folder: Path, unet: StyledUnet) -> list[dict[str, Any]]:
    """A row for each stage: seconds of the requests by name. `folder`: of adapter and encoder.

    cold: the first request of a process. known: the same reference again. new: another reference.
    Four units: two known references in two looks each.
    """
    first, second = _picture(0), _picture(1)
    four = [
        {"image": image, "crop": crop} for image in (first, second) for crop in ("center", "pad")
    ]
    SESSION.clear()
    requests: Mapping[str, Sequence[Mapping[str, str]]] = {
        "cold": [{"image": first}],
        "known reference": [{"image": first}],
        "new reference": [{"image": second}],
        "four units, two new crops": four,
        "four known units": four,
    }
    clocks = {}
    with mock.patch.object(context, "model_folders", lambda: [folder]):
        for name, units in requests.items():
            with watched() as clocks[name]:
                _prepare(units, unet)
    return [_row(stage.name, clocks, lambda c, n=stage.name: c.seconds[n]) for stage in STAGES] + [
        _row("all stages", clocks, lambda c: sum(c.seconds.values()))
    ]


def _row(
    name: str, clocks: Mapping[str, StageClock], value: Callable[[StageClock], float]
) -> dict[str, Any]:
    return {"seconds": name, **{case: value(clock) for case, clock in clocks.items()}}


def _prepare(given: Sequence[Mapping[str, str]], unet: StyledUnet) -> None:
    layers = unet.layers()
    plan = prepared(parse_arguments([*given]), layers, Host()).plan
    assert isinstance(unet, nn.Module)
    with HOOKS:
        held = inject(unet, layers, plan, _CLOCK)
        held.__enter__()
    held.__exit__(None, None, None)


def _picture(seed: int) -> str:
    """Base64 text of a PNG file."""
    generator = torch.Generator().manual_seed(seed)
    small = torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=generator)
    file = io.BytesIO()
    Image.fromarray(small.numpy()).resize(_SIDES).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
