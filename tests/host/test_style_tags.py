"""Saved styles in generations: as a unit's field, and as tags in prompts."""

from __future__ import annotations

import base64
import shutil

import pytest

from tests.host.generations import picture, style

COFFEE = picture("coffee.jpg")


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture
def webui(webui, library):
    """With two saved styles: `ink` as it comes, `faint` with settings of its own."""
    from lib_instantstyle.run.style_saving import save_style
    from tests.units import parse_unit

    save_style(parse_unit({"image": COFFEE}), "ink")
    save_style(parse_unit({"style": "ink", "weight": 0.5, "preset": "original"}), "faint")
    return webui


@pytest.fixture
def no_encoder(monkeypatch):
    def refuse(*arguments):
        raise AssertionError("an image encoder was loaded")

    from lib_instantstyle.references import vectors

    vectors.cache().tensors.clear()
    monkeypatch.setattr(vectors, "load_image_encoder", refuse)
    monkeypatch.setattr("lib_instantstyle.hosts.a1111.A1111.embeddings_folder", lambda self: None)


def test_a_saved_style_paints_what_its_reference_paints(webui, request):
    expected = webui.txt2img(**style({"image": COFFEE}))
    request.getfixturevalue("no_encoder")
    found = webui.txt2img(**style({"style": "Ink"}))
    assert found.pixels == expected.pixels
    line = found.parameters["InstantStyle 1"]
    assert line.startswith("style: Ink, adapter: ") and "reference" not in line


def test_a_tag_adds_a_unit_with_the_accordion_closed(webui, no_encoder):
    plain = webui.txt2img(prompt="a cat")
    tagged = webui.txt2img(prompt="a cat<instantstyle:ink:0.8>")
    assert tagged.pixels == webui.txt2img(**style({"style": "ink", "weight": 0.8})).pixels
    assert tagged.pixels != plain.pixels
    # In the prompt, and nowhere else: pasting must not bring it twice.
    assert tagged.infotexts[0].startswith("a cat<instantstyle:ink:0.8>\n")
    assert not [key for key in tagged.parameters if key.startswith("InstantStyle")]
    assert webui.txt2img(prompt="a cat").png == plain.png


def test_a_tag_brings_its_settings_and_comes_after_the_units(webui, no_encoder):
    unit = {"style": "ink", "preset": "layout"}
    as_units = style(unit, {"style": "faint", "weight": 0.25, "preset": "original"})
    both = webui.txt2img(prompt="a cat <instantstyle:FAINT:0.5>", **style(unit))
    assert both.pixels == webui.txt2img(prompt="a cat ", **as_units).pixels
    assert [key for key in both.parameters if key.startswith("InstantStyle")] == ["InstantStyle 1"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"prompt": "<instantstyle:moon:1>"}, "<instantstyle:moon:1>: style 'moon' is not among"),
        ({"prompt": "<InstantStyle:ink:strong>"}, "the weight is 'strong'"),
        ({"negative_prompt": "<instantstyle:ink:1>"}, "stands in the negative prompt"),
        ({"prompt": "<instantstyle:ink>" * 11}, "has 11 <instantstyle:...> tags; up to 10"),
    ],
)
def test_a_tag_that_cannot_be_had_is_refused(webui, fields, words):
    answer = webui.txt2img(expect=None, **fields)
    assert answer.status == 422 and words in str(answer.body)
    assert webui.txt2img().status == 200


def with_prompts(monkeypatch, *prompts):
    """As scripts do that write prompts of their own."""
    from modules.processing import StableDiffusionProcessing

    setup = StableDiffusionProcessing.setup_prompts

    def replaced(self):
        setup(self)
        self.all_prompts = list(prompts)

    monkeypatch.setattr(StableDiffusionProcessing, "setup_prompts", replaced)


def test_each_batch_follows_its_own_tags(webui, monkeypatch):
    alone = [
        webui.txt2img(prompt=prompt, seed=seed).pixels[0]
        for prompt, seed in (("a <instantstyle:ink>", 1), ("a ", 2), ("a <instantstyle:faint>", 3))
    ]
    with_prompts(monkeypatch, "a <instantstyle:ink>", "a ", "a <instantstyle:faint>")
    found = webui.txt2img(n_iter=3)
    assert found.pixels[-3:] == alone


def test_different_tags_in_one_batch_are_refused(webui, monkeypatch):
    with_prompts(monkeypatch, "a <instantstyle:ink>", "a cat")
    answer = webui.txt2img(batch_size=2, expect=None)
    assert answer.status == 422
    assert "the prompts of one batch have different <instantstyle:...> tags" in str(answer.body)


def test_hires_fix_follows_the_tags_of_its_own_prompt(webui, no_encoder):
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "denoising_strength": 0.6}
    tag = "a cat<instantstyle:ink>"
    for prompt, hr_prompt, which in ((tag, "", "both"), (tag, "a cat", "base"),
                                     ("a cat", tag, "hires")):  # fmt: skip
        found = webui.txt2img(prompt=prompt, hr_prompt=hr_prompt, **hires)
        unit = {"style": "ink", "hires_pass": which}
        assert found.pixels == webui.txt2img(prompt="a cat", **hires, **style(unit)).pixels, which


def test_the_switch_for_extra_networks_holds_for_tags(webui):
    plain = webui.txt2img(prompt="a cat")
    tagged = webui.txt2img(prompt="a cat<instantstyle:moon>", disable_extra_networks=True)
    assert tagged.pixels == plain.pixels


def test_a_reference_is_kept_and_no_encoder_is_needed_after_a_restart(webui, monkeypatch):
    from lib_instantstyle.references import vectors
    from lib_instantstyle.references.store import store

    first = webui.txt2img(**style({"image": COFFEE}))
    digest = first.parameters["InstantStyle 1"].split("reference: ")[1].split(",")[0]
    assert store().get(digest) == base64.b64decode(COFFEE)
    vectors.cache().tensors.clear()  # as a restart does

    def refuse(*arguments):
        raise AssertionError("an image encoder was loaded")

    monkeypatch.setattr(vectors, "load_image_encoder", refuse)
    assert webui.txt2img(**style({"image": COFFEE})).pixels == first.pixels


def test_nothing_is_kept_where_the_user_wants_nothing_kept(webui, monkeypatch):
    from lib_instantstyle.hosts import own_folder
    from lib_instantstyle.references import vectors

    for name in ("references", "cache"):
        shutil.rmtree(own_folder() / name, ignore_errors=True)
    vectors.cache().tensors.clear()
    for name in ("instantstyle_reference_store_mb", "instantstyle_embedding_cache_mb"):
        monkeypatch.setitem(webui.shared.opts.data, name, 0)
    webui.txt2img(**style({"image": COFFEE}))
    assert not (own_folder() / "references").exists() and not (own_folder() / "cache").exists()


def test_a_style_for_the_other_family_is_saved_and_serves_there(webui):
    """The adapter decides which encoder sees the picture, not the loaded checkpoint."""
    answer = webui.post(
        "/instantstyle/embed",
        {"image": COFFEE, "adapter": "ip-adapter_sd15", "name": "older"},
    )
    assert answer.status_code == 200, answer.text
    webui.use("tiny_sd15.")
    expected = webui.txt2img(**style({"image": COFFEE, "adapter": "ip-adapter_sd15"}))
    found = webui.txt2img(**style({"style": "older"}))
    assert found.pixels == expected.pixels


def test_a_tag_switches_a_field_on_and_off(webui):
    prompt = "a cat <instantstyle:ink:1:report={}>"
    on, off = (webui.txt2img(prompt=prompt.format(word)) for word in ("True", "false"))
    assert " effect: " in on.infotexts[0]
    assert " effect: " not in off.infotexts[0]
    refused = webui.txt2img(expect=422, prompt=prompt.format("maybe")).body["detail"]
    assert "report is 'maybe'; true or false is allowed" in refused
