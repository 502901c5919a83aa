"""After another checkpoint was chosen, nothing of ours keeps the one before in memory."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.host.generations import UNIT, style
from tests.miniature.flavour import FORGE, flavour

FIELDS = {"enable_hr": True, "denoising_strength": 0.7, "hr_scale": 1.5}


@pytest.fixture
def kept(monkeypatch):
    """Each generation's `p`, which another extension may well hold on to."""
    from modules.processing import StableDiffusionProcessing

    kept = []
    close = StableDiffusionProcessing.close
    monkeypatch.setattr(
        StableDiffusionProcessing, "close", lambda self: kept.append(self) or close(self)
    )
    return kept


def modules_of(webui):
    """Weak references to every network of the loaded checkpoint, by name."""
    model = webui.sd_model._model if flavour() == FORGE else webui.sd_model
    return {name: weakref.ref(module) for name, module in model.named_modules()}


@pytest.mark.parametrize(
    "unit",
    [
        None,
        UNIT,
        {**UNIT, "content": "a cup of coffee", "leak_meter": True, "report": True},
        {**UNIT, "method": "stylealigned"},
    ],
    ids=["plain", "ip-adapter", "content", "stylealigned"],
)
def test_the_old_networks_are_gone(webui, kept, unit):
    import lib_probe

    webui.use("tiny_sdxl.")
    modules = modules_of(webui)
    webui.txt2img(**FIELDS, **(style(unit) if unit else {}))
    assert len(kept) == 1
    webui.use("tiny_sd15.")
    lib_probe.reset()  # it writes down the checkpoints it sees
    gc.collect()
    assert [name for name, module in modules.items() if module() is not None] == []
