"""The extension where A1111's way to the UNet is there too, and would be wrong."""

from __future__ import annotations

import numpy as np
import pytest

from tests.host.generations import UNIT, style
from tests.host.watching import KINDS
from tests.miniature.recorder import Recorder

FIRST, BOTH = ["c0 c1"], ["u0 u1 c0 c1"]
FIELDS = {"negative_prompt": "blurry", "batch_size": 2}


ROWS = {
    "cfg 7": ({}, [FIRST, BOTH, BOTH]),
    "no step skipped": ({"override_settings": {"skip_early_cond": -1}}, [BOTH] * 3),
    "cfg 1": ({"cfg_scale": 1}, [FIRST] * 3),
    "AND": ({"prompt": "a cat AND a dog"}, [["c1 c3 c0 c2"], *[["u0 u1 c1 c3 c0 c2"]] * 2]),
}


@pytest.mark.parametrize("case", ROWS)
def test_our_rows_are_those_of_the_unet(webui, monkeypatch, case):
    from lib_instantstyle.hosts.denoiser import DenoiserClock

    taken = []
    rows = DenoiserClock.rows

    def spy(self, call):
        taken.append(rows(self, call))
        return taken[-1]

    monkeypatch.setattr(DenoiserClock, "rows", spy)
    fields, expected = ROWS[case]
    with Recorder() as recorder:
        webui.txt2img(**{**FIELDS, **fields}, **style(UNIT))
    assert recorder.steps() == expected
    assert taken == [tuple(KINDS[row[0]] for row in call.rows) for call in recorder.calls]


@pytest.mark.usefixtures("as_in_generation")
def test_it_is_told_by_what_its_checkpoint_can_do(webui):
    from lib_instantstyle import hosts
    from lib_instantstyle.hosts.forge import Forge

    p = hosts.LoadedCheckpoint(webui.sd_model)
    assert type(hosts.current(p)) is Forge
    assert webui.sd_model.model.diffusion_model is hosts.current(p).unet(p)


def test_a_style_acts_in_every_pass_and_leaves_nothing(webui):
    hires = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
    for fields in (FIELDS, {**FIELDS, **hires}):
        plain = webui.txt2img(**fields)
        styled = webui.txt2img(**fields, **style(UNIT))
        for a, b in zip(plain.images, styled.images, strict=True):
            assert np.abs(np.asarray(a, dtype=float) - np.asarray(b, dtype=float)).mean() > 0.2
        assert webui.txt2img(**fields).png == plain.png


@pytest.mark.usefixtures("as_in_generation")
def test_the_text_vector_is_the_conditioners(webui):
    from lib_instantstyle import hosts

    p = hosts.LoadedCheckpoint(webui.sd_model)
    encoder = hosts.current(p).text_encoder(p)
    if not webui.sd_model.is_sdxl:
        assert encoder is None
        return
    vector = encoder.vectors(["a cup of coffee"])[0]
    own = webui.sd_model.get_learned_conditioning(["a cup of coffee"])["vector"][0, : len(vector)]
    np.testing.assert_allclose(vector, own.float().detach(), atol=1e-6)
