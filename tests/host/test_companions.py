"""Beside extensions that change weights in place, or run a generation inside a generation."""

from __future__ import annotations

import sys

import pytest
import torch

from tests.host.generations import UNIT, style
from tests.host.loras import in_place
from tests.host.watching import KINDS, hooks_on
from tests.miniature.companions import LORA, NESTED
from tests.miniature.flavour import FORGE, flavour
from tests.miniature.recorder import Recorder

LAYERS = 10  # of the style block of tiny SDXL


@pytest.fixture(scope="module")
def session(session):
    for extension in (NESTED,) if flavour() == FORGE else (LORA, NESTED):
        session.add_extension(extension)
    return session


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture
def webui(webui):
    yield webui
    assert [x for x in webui.reports if "InstantStyle" in x or "instantstyle" in x] == []


# -- LoRA ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("as_in_generation")
@in_place
def test_the_text_of_content_is_encoded_without_the_last_prompts_loras(webui):
    """`process` runs before the prompt's own networks are known: the list is still the last one."""
    from lib_instantstyle.hosts import a1111

    p = type("p", (), {"sd_model": webui.sd_model})
    encoder = a1111.A1111().text_encoder(p)

    def vector():
        return encoder.vectors(["a cup of coffee"])[0]

    webui.txt2img(prompt="a cat")
    plain = vector()
    webui.txt2img(prompt="a cat <lora:strong:1>")
    networks = sys.modules["networks"]
    assert [x.name for x in networks.loaded_networks] == ["strong"]
    assert torch.equal(plain, vector())
    assert [x.name for x in networks.loaded_networks] == ["strong"]
    # The weights themselves would have told another vector.
    changed = webui.sd_model.get_learned_conditioning(["a cup of coffee"])["vector"]
    assert not torch.allclose(changed[0, : len(plain)], plain, atol=1e-3)


@in_place
def test_a_lora_in_the_prompt_acts_beside_the_style(webui):
    tagged = {"prompt": "a cat <lora:strong:1>"}
    plain = webui.txt2img(prompt="a cat")
    lora = webui.txt2img(**tagged)
    styled = webui.txt2img(prompt="a cat", **style(UNIT))
    both = webui.txt2img(**tagged, **style(UNIT))
    assert len({str(x.pixels) for x in (plain, lora, styled, both)}) == 4
    assert webui.txt2img(**tagged).pixels == lora.pixels
    assert webui.txt2img(prompt="a cat").png == plain.png


# -- nested passes -------------------------------------------------------------------------------


def nested(names, *units):
    scripts = style(*units)["alwayson_scripts"]
    return {"alwayson_scripts": {**scripts, "Nested passes": {"args": [True, names]}}}


def watched_steps(webui, **fields):
    """The answer, and for each UNet call how many hooks stood."""
    from tests.miniature.networks import UNetModel

    seen = []
    handle = torch.nn.modules.module.register_module_forward_pre_hook(
        lambda module, _: seen.append(len(hooks_on(module))) if type(module) is UNetModel else None
    )
    try:
        return webui.txt2img(**fields), seen
    finally:
        handle.remove()


def test_a_pass_inside_is_not_styled_where_the_script_is_left_out(webui):
    answer, seen = watched_steps(webui, batch_size=2, steps=3, **nested("", UNIT))
    assert seen[:3] == [1 + 2 * LAYERS] * 3
    assert set(seen[3:]) == {0} and len(seen) >= 5
    assert len(answer.images) == 2
    assert all(text.count("InstantStyle 1") == 1 for text in answer.infotexts)


@pytest.fixture
def styling_nested_passes(webui):
    webui.shared.opts.data["instantstyle_nested"] = True
    yield
    webui.shared.opts.data.pop("instantstyle_nested")


def test_a_pass_inside_stays_plain_unless_the_settings_say_otherwise(webui):
    answer, seen = watched_steps(webui, n_iter=2, **nested("instantstyle", UNIT))
    without, plain = watched_steps(webui, n_iter=2, **nested("", UNIT))
    assert seen == plain and set(seen) == {0, 1 + 2 * LAYERS}
    assert answer.pixels == without.pixels


def test_a_pass_inside_is_styled_where_script_and_settings_say_so(webui, styling_nested_passes):
    answer, seen = watched_steps(webui, n_iter=2, **nested("instantstyle", UNIT))
    assert set(seen) == {1 + 2 * LAYERS}
    without, _ = watched_steps(webui, n_iter=2, **nested("", UNIT))
    assert answer.pixels[0] != without.pixels[0]
    assert answer.pixels[1] != without.pixels[1]
    assert all(text.count("InstantStyle 1") == 1 for text in answer.infotexts)


@pytest.mark.parametrize("names", ["", "instantstyle"])
def test_nested_passes_leave_nothing(webui, names, styling_nested_passes):
    plain = webui.txt2img()
    inside = webui.txt2img(**nested(names))
    webui.txt2img(n_iter=2, **nested(names, UNIT))
    assert webui.txt2img().png == plain.png
    assert webui.txt2img(**nested(names)).png == inside.png
    assert "InstantStyle" not in inside.infotexts[0]


def test_rows_are_told_apart_inside_too(webui, monkeypatch, styling_nested_passes):
    from lib_instantstyle.hosts.denoiser import DenoiserClock

    taken = []
    rows = DenoiserClock.rows

    def spy(self, call):
        taken.append(rows(self, call))
        return taken[-1]

    monkeypatch.setattr(DenoiserClock, "rows", spy)
    with Recorder() as recorder:
        webui.txt2img(batch_size=2, **nested("instantstyle", UNIT))
    assert len(taken) > 3
    assert taken == [tuple(KINDS[row[0]] for row in call.rows) for call in recorder.calls]
