"""What a request does before its first sampling step, counted, and what a plan says of it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from tests.bench import first_step
from tests.host.generations import UNIT, picture, style
from tests.journey import followed
from tests.miniature import harness

STARS = {"image": picture("deep_field.jpg")}
PLUS = {**UNIT, "adapter": "ip-adapter-plus_sdxl_vit-h"}
CASES = {  # what comes before it, and the request itself
    "a new reference": ([], [UNIT]),
    "a known reference": ([[UNIT]], [UNIT]),
    "with another seed and weight": ([[UNIT]], [{**UNIT, "weight": 0.3, "end": 0.5}]),
    "other blocks": ([[UNIT]], [{**UNIT, "preset": "original"}]),
    "fewer blocks": ([[{**UNIT, "preset": "original"}]], [UNIT]),
    "another crop": ([[UNIT]], [{**UNIT, "crop": "pad"}]),
    "a plus adapter": ([[UNIT]], [PLUS]),
    "a plus adapter again": ([[PLUS]], [PLUS]),
    "two combined": ([[UNIT]], [{"image": [UNIT["image"], STARS["image"]], "combine": "average"}]),
    "a negative picture": ([[UNIT]], [{**UNIT, "negative_image": STARS["image"]}]),
    "colours alone": ([], [{**UNIT, "combine": "colour"}]),
    "guidance": ([[UNIT]], [{**UNIT, "attention_guidance": 2}]),
}


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


@pytest.fixture(autouse=True)
def nothing_known(webui):
    harness.forget_references()


@pytest.fixture
def read(monkeypatch):
    """Bytes of each tensor that is read from a model file, one after the other."""
    from lib_instantstyle.files.tensors import TensorReader

    read, real = [], TensorReader.__call__

    def counted(reader, name):
        before = reader.bytes_read
        tensor = real(reader, name)
        read.append(reader.bytes_read - before)
        return tensor

    monkeypatch.setattr(TensorReader, "__call__", counted)
    return read


@pytest.fixture
def encoded(monkeypatch):
    """How many pictures the image encoder is given, run by run."""
    from lib_instantstyle.clip.image_encoder import ImageEncoder

    encoded, real = [], ImageEncoder.forward
    monkeypatch.setattr(
        ImageEncoder, "forward", lambda self, x: encoded.append(len(x)) or real(self, x)
    )
    return encoded


def plan(webui, *units):
    answer = webui.post("/instantstyle/plan", style(*units)).json()
    assert answer["problems"] == []
    return answer


def costs(webui, *units):
    return [unit["cost"] for unit in plan(webui, *units)["units"]]


# -- counts ------------------------------------------------------------------------------------


def test_the_counts_are_those_of_the_document(webui):
    """docs/performance.md has them; `python -m tests.bench.first_step` writes them there."""
    text = first_step.DOCUMENT.read_text(encoding="utf-8")
    written = text.split(first_step.BEGIN)[1].split(first_step.END)[0].strip()
    assert first_step.table(first_step.follow(webui)) == written


def test_a_known_reference_reads_decodes_and_runs_nothing(webui, read, encoded):
    first = webui.txt2img(**style(UNIT))
    assert read and encoded == [1]
    read.clear(), encoded.clear()
    with followed() as journey:
        again = webui.txt2img(**style(UNIT))
    assert read == [] and encoded == []
    assert [journey.calls[key] for key in first_step.COUNTED.values()] == [1, *[0] * 6]
    assert again.png == first.png


def test_equal_pictures_are_encoded_once(webui, encoded):
    twice = webui.txt2img(**style({"image": [UNIT["image"], UNIT["image"]]}))
    assert encoded == [1] and twice.pixels != webui.txt2img().pixels


def test_one_encoder_is_loaded_once_for_all_units(webui, encoded, monkeypatch):
    """Those whose adapters take the same of it, in one run; no picture of theirs changes by it."""
    from lib_instantstyle.references import vectors

    loaded, real = [], vectors.load_image_encoder
    monkeypatch.setattr(vectors, "load_image_encoder", lambda *a: loaded.append(1) or real(*a))
    units = [UNIT, {**UNIT, "crop": "pad"}, {**STARS, "weight": 0.5}, PLUS, {**PLUS, "crop": "pad"}]
    webui.txt2img(**style(*units))
    assert encoded == [3, 3] and len(loaded) == 2  # of the plus units' three one is the zero image
    encoded.clear()
    webui.txt2img(**style(*units))
    assert encoded == []


def test_what_cannot_be_encoded_is_refused_with_the_number_of_its_unit(webui, monkeypatch):
    from lib_instantstyle.errors import InstantStyleError
    from lib_instantstyle.references import views

    real = views.normalised

    def once(given):
        if len(given) == 2:
            raise InstantStyleError("tiles cannot be made.")
        return real(given)

    monkeypatch.setattr(views, "normalised", once)
    monkeypatch.setattr(views, "reference_views", two_of_tiles(views.reference_views))
    answer = webui.txt2img(expect=422, **style(UNIT, {**UNIT, "crop": "tiles"}))
    assert answer.body["detail"] == "unit 2: tiles cannot be made."


def two_of_tiles(real):
    def views(image, size, crop, *rest):
        found = real(image, size, "center", *rest)
        return found * 2 if crop == "tiles" else found

    return views


def test_a_unit_gets_the_same_numbers_alone_and_beside_others(webui):
    """So what is remembered is what would be computed, whatever was asked for before."""
    from lib_instantstyle.methods.ip_adapter.banks import BankCache
    from lib_instantstyle.session import SESSION

    both = style(UNIT, {**STARS, "preset": "original", "weight": 0.5})
    together = webui.txt2img(**both)
    SESSION.of(BankCache).clear()
    webui.txt2img(**style(UNIT))
    assert webui.txt2img(**both).png == together.png


def test_what_is_remembered_is_bounded_and_of_the_file_as_it_is(webui, monkeypatch, read):
    from modules import paths_internal

    from lib_instantstyle.methods.ip_adapter import banks

    monkeypatch.setattr(banks, "CAPACITY", 0)
    for _ in range(2):
        read.clear()
        webui.txt2img(**style(UNIT))
        assert read
    monkeypatch.undo()
    (path,) = Path(paths_internal.models_path).rglob("ip-adapter_sdxl.*")
    before = path.stat()
    webui.txt2img(**style(UNIT))
    try:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
        (cost,) = costs(webui, UNIT)
        assert cost["bytes"] and not cost["encoded"]  # it may be another one now
    finally:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


# -- the cost in a plan ------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_plan_says_what_would_be_read_and_encoded(webui, read, encoded, name):
    before, units = CASES[name]
    for each in before:
        webui.txt2img(**style(*each))
    read.clear(), encoded.clear()
    (cost,) = costs(webui, *units)
    assert read == [] and encoded == []  # known without doing it
    webui.txt2img(**style(*units))
    assert (cost["bytes"], cost["encoded"]) == (sum(read), sum(encoded))
    (after,) = costs(webui, *units)
    assert (after["bytes"], after["encoded"], after["layers"]) == (0, 0, 0)
    assert after["text"].startswith("everything is remembered")


def test_the_cost_in_words(webui, session):
    answer = plan(webui, UNIT)
    (cost,) = [unit["cost"] for unit in answer["units"]]
    assert re.fullmatch(
        r"the image encoder CLIP-ViT-bigG \(\d+ [kMG]B\) would be read and one picture encoded; "
        r"\d+ [kMG]B of adapter ip-adapter_sdxl would be read, and tokens, keys and values of 10 "
        r"layers projected\.",
        cost["text"],
    )
    assert f"before the first step: {cost['text']}" in answer["text"]
    (content,) = costs(webui, {**UNIT, "content": "a cup"})
    assert "; up to " in content["text"]  # what is left of the picture is not known yet
    webui.set(instantstyle_keep_encoder=True)
    webui.txt2img(**style(STARS))
    (kept,) = costs(webui, UNIT)
    assert kept["text"].startswith(
        "one picture would be encoded with the image encoder CLIP-ViT-bigG, which was kept; "
    )
    webui.set(instantstyle_keep_encoder=False)
    webui.txt2img(**style(UNIT))  # which lets it go


def test_a_saved_style_costs_no_encoder(webui, library, read, encoded):
    webui.post("/instantstyle/embed", {"name": "ink", **UNIT})
    read.clear(), encoded.clear()
    (cost,) = costs(webui, {"style": "ink"})
    assert cost["encoded"] == 0 and cost["bytes"]
    read.clear()  # of the style's own file
    webui.txt2img(**style({"style": "ink"}))
    assert encoded == []
    assert costs(webui, {"style": "ink"})[0]["bytes"] == 0


def test_other_methods_and_units_that_change_nothing_have_none(webui):
    answer = webui.post("/instantstyle/plan", style({**UNIT, "method": "swap"}, {"enabled": False}))
    assert [unit["cost"] for unit in answer.json()["units"]] == [None, None]


def test_a_cost_tells_strangers_not_what_others_have_sent(webui, monkeypatch):
    new = costs(webui, UNIT, PLUS)
    webui.txt2img(**style(UNIT, PLUS))
    webui.set(instantstyle_keep_encoder=True)
    webui.txt2img(**style(STARS))
    assert [each["bytes"] for each in costs(webui, UNIT, PLUS)] == [0, 0]
    monkeypatch.setattr(webui.shared.cmd_opts, "disable_extension_access", True)
    public = webui.post("/instantstyle/plan", style(UNIT, PLUS)).json()
    assert [unit["cost"] for unit in public["units"]] == new
    assert "remembered" not in public["text"] and "was kept" not in json.dumps(public)
    monkeypatch.setattr(webui.shared.cmd_opts, "api_auth", "me:secret")  # who knows it is no one
    assert [each["bytes"] for each in costs(webui, UNIT, PLUS)] == [0, 0]
    monkeypatch.undo()
    webui.set(instantstyle_keep_encoder=False)
    webui.txt2img(**style(UNIT))


# -- the page ----------------------------------------------------------------------------------


def test_a_status_checks_each_unit_once(webui, monkeypatch):
    from lib_instantstyle.methods.ip_adapter.method import IPAdapter

    checked, real = [], IPAdapter.check
    monkeypatch.setattr(
        IPAdapter,
        "check",
        lambda self, unit, *a: checked.append(unit.number) or real(self, unit, *a),
    )
    own = "script_txt2img_instantstyle_"
    boxes = [{"image": [{"weight": 1}]}] * 3
    facts = json.dumps({"tab": "txt2img", "on": True, "units": boxes})
    values = {f"{own}unit_{number}_enabled": True for number in (1, 2, 3)}
    with followed() as journey:
        answers = webui.press(f"{own}look", **values, **{f"{own}facts": facts})
    assert sum('data-state="ready"' in str(answer) for answer in answers) == 3
    assert checked == [1, 2, 3]
    assert journey.calls["models/catalog.py", "scan"] == 1
    assert journey.calls["references/pictures.py", "_upright"] <= 1
    assert journey.calls["files/model_file.py", "open_regular"] <= 1  # the checkpoint's header
