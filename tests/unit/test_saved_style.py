"""A style saved from a unit, and used by another one: the same picture, without any encoder."""

import shutil
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts import context
from lib_instantstyle.layout import SD15
from lib_instantstyle.methods import TABLE
from lib_instantstyle.methods.ip_adapter import saved_style
from lib_instantstyle.references import vectors
from lib_instantstyle.run import style_saving
from lib_instantstyle.styles.file import read_style, write_style
from lib_instantstyle.styles.library import StyleLibrary
from tests.unit.adapters import adapter_tensors, write
from tests.unit.image_encoders import (
    ENCODERS,
    hugging_face_encoder,
    hugging_face_tensors,
    open_clip_tensors,
)
from tests.unit.pictures import reference
from tests.unit.unets import unet_like
from tests.unit.webui_host import Host, prepared
from tests.units import parse_unit

LAYERS = unet_like(SD15)
WIDTH, _, _, VECTOR, _ = ENCODERS["H"]
PICTURE = reference()[1]


class WithUnet(Host):
    def unet(self, p):
        return None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Model files: the encoder H, a linear and a plus adapter for it; and an empty library."""
    models = tmp_path / "models"
    models.mkdir()
    library = StyleLibrary(tmp_path / "styles", TABLE)
    monkeypatch.setattr(context, "model_folders", lambda: [models])
    for module in (saved_style, style_saving):
        monkeypatch.setattr(module, "library", lambda table: library)
    monkeypatch.setattr(context, "current", lambda p: WithUnet())
    monkeypatch.setattr(context, "find_layers", lambda unet: LAYERS)
    monkeypatch.setattr(style_saving, "loaded_checkpoint", lambda: None)
    monkeypatch.setattr(style_saving, "queue_lock", nullcontext)
    monkeypatch.setattr(vectors.cache(), "tensors", type(vectors.cache().tensors)())
    write(models / "clip_h.safetensors", hugging_face_tensors(hugging_face_encoder("H")))
    write(models / "linear.safetensors", adapter_tensors(LAYERS, VECTOR))
    write(models / "plus.safetensors", adapter_tensors(LAYERS, WIDTH, projection="plus"))
    return models


@pytest.fixture
def encoders(monkeypatch):
    """Names of the encoders that were loaded."""
    loaded = []
    load = vectors.load_image_encoder

    def spy(path, *arguments):
        loaded.append(path.name)
        return load(path, *arguments)

    monkeypatch.setattr(vectors, "load_image_encoder", spy)
    return loaded


def save(name="sunset", **fields):
    return style_saving.save_style(parse_unit({"image": PICTURE, **fields}), name)


def prepare(**fields):
    return prepared([parse_unit(fields)], LAYERS, Host())


def banks(found):
    return [tensor for term in found.plan.terms for tensor in (term.key, term.value)]


def test_a_linear_adapter_gets_the_very_numbers_and_no_encoder_is_there(folder, encoders):
    saved = save()
    expected = banks(prepare(image=PICTURE, adapter="linear"))
    (folder / "clip_h.safetensors").unlink()
    encoders.clear()
    found = prepare(style="SUNSET", adapter="linear")
    assert all(map(torch.equal, banks(found), expected)) and len(expected) == 6
    assert encoders == []
    assert saved.info.encoder == "clip_h" and saved.info.adapter == "linear"


def test_the_same_style_serves_a_plus_adapter(folder, encoders):
    save()
    expected = banks(prepare(image=PICTURE, adapter="plus"))
    encoders.clear()
    found = banks(prepare(style="sunset", adapter="plus"))
    assert encoders == []
    for one, other in zip(found, expected):  # 16 bits are stored of the hidden states
        torch.testing.assert_close(one, other, atol=5e-3, rtol=5e-3)
    assert not torch.equal(found[0], banks(prepare(style="sunset", adapter="linear"))[0])


def test_references_weights_and_what_was_done_to_them_are_in_the_style(folder, encoders):
    given = {
        "image": [PICTURE, {"image": PICTURE, "weight": 0.5}],
        "crop": "stretch",
        "sharpening": 0.5,
        "noise": "gaussian",
        "reference_mask": PICTURE,
    }
    saved = save(**given, weight=0.7)
    assert saved.info.weights == (1.0, 0.5) and saved.info.settings == {"weight": 0.7}
    encoders.clear()
    for combine in ("concat", "average"):
        expected = prepare(**given, combine=combine, adapter="linear")
        found = prepare(style="sunset", combine=combine, adapter="linear")
        assert all(map(torch.equal, banks(found), banks(expected)))
    plain = prepare(image=given["image"], adapter="linear")
    assert not torch.equal(banks(plain)[0], banks(prepare(style="sunset", adapter="linear"))[0])


def test_content_is_subtracted_from_a_style_as_from_a_picture(folder, monkeypatch):
    save()
    taken = []
    monkeypatch.setattr(
        "lib_instantstyle.methods.ip_adapter.features.without_content",
        lambda image, unit, *rest: taken.append((image.shape, unit.content)) or (image, ()),
    )
    prepare(style="sunset", adapter="linear", content="a cup")
    assert taken == [((1, VECTOR), "a cup")]


def test_a_picture_for_the_negative_rows_is_the_only_one_that_is_encoded(folder, encoders):
    save()
    plain = banks(prepare(style="sunset", adapter="linear"))
    encoders.clear()
    mirrored = prepare(
        style="sunset", adapter="linear", negative_image=reference()[1], noise="fade"
    )
    assert encoders == ["clip_h.safetensors"]
    assert torch.equal(banks(mirrored)[0][:-1], plain[0][:-1])
    assert not torch.equal(banks(mirrored)[0][-1], plain[0][-1])


def test_auto_takes_an_adapter_that_the_style_serves(folder):
    write(folder / "clip_g.safetensors", open_clip_tensors("bigG"))
    save(adapter="linear")
    write(folder / "a wider one.safetensors", adapter_tensors(LAYERS, ENCODERS["bigG"][3]))
    assert "adapter: a wider one" in prepare(image=PICTURE).infotext["InstantStyle 1"]
    line = prepare(style="sunset").infotext["InstantStyle 1"]
    assert line == "style: sunset, adapter: linear"


def test_an_adapter_for_another_encoder_is_refused_by_both_names(folder):
    save()
    write(folder / "wide.safetensors", adapter_tensors(LAYERS, 40))
    with pytest.raises(InstantStyleError) as caught:
        prepare(style="sunset", adapter="wide")
    assert str(caught.value) == (
        "unit 1: style 'sunset' was made with the image encoder clip_h, but adapter wide takes "
        "vectors of 40 numbers from another one; choose auto, or an adapter for that encoder."
    )
    for name in ("linear", "plus"):
        (folder / f"{name}.safetensors").unlink()
    with pytest.raises(
        InstantStyleError, match=r"clip_h, and no adapter .* was found \(found: wide"
    ):
        prepare(style="sunset")


def test_another_encoder_of_the_same_shape_is_refused_by_both_names(folder):
    save()
    tensors = hugging_face_tensors(hugging_face_encoder("H"))
    write(folder / "clip_h.safetensors", {k: v.half() for k, v in tensors.items()})
    assert prepare(style="sunset").plan.terms  # the same one, rounded
    other = {k: v + 0.1 if v.is_floating_point() else v for k, v in tensors.items()}
    write(folder / "clip_h.safetensors", other)
    (folder / "clip_h.safetensors").rename(folder / "tuned.safetensors")
    with pytest.raises(
        InstantStyleError,
        match=r"style 'sunset' .* encoder clip_h, which has other weights than tuned, the one here",
    ):
        prepare(style="sunset")
    write(folder / "right.safetensors", tensors)
    assert prepare(style="sunset").plan.terms


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"style": "moon"}, r"style 'moon' is not among the saved styles \(sunset\)"),
        ({"style": "sunset", "image": PICTURE}, "it has both a reference and the style 'sunset'"),
        (
            {"style": "sunset", "image": PICTURE, "combine": "colour + texture"},
            "style 'sunset' holds neither side by itself; beside a picture, a style that was saved",
        ),
        ({"style": "sunset", "noise": "fade"}, "noise needs the picture that a style was made of"),
        ({"style": "sunset", "reference_mask": PICTURE}, "reference_mask needs the picture"),
    ],
)
def test_what_cannot_be_had_is_a_sentence(folder, fields, words):
    save()
    with pytest.raises(InstantStyleError, match=f"^unit 1: .*{words}"):
        prepare(**fields)
    with pytest.raises(InstantStyleError, match=r"^Unit 1 is on but has no reference"):
        prepare()


def test_a_style_under_a_new_name_keeps_its_features_and_takes_new_settings(folder, encoders):
    save(weight=0.7)
    encoders.clear()
    unit = parse_unit({"style": "sunset", "weight": 0.2, "preset": "layout"})
    again = style_saving.save_style(unit, "layout of it")
    assert encoders == [] and again.info.settings == {"weight": 0.2, "preset": "layout"}
    first, second = (
        read_style(style_saving.library(TABLE).path_of(n)) for n in ("sunset", again.name)
    )
    assert torch.equal(first.hidden, second.hidden) and first.info.thumbnail == again.info.thumbnail


def test_saving_refuses_before_it_encodes(folder, encoders):
    save()
    encoders.clear()
    for fields, name, words in (
        ({}, "Sunset", "is there already"),
        ({}, "a/b", "is not allowed"),
        ({"image": None}, "new", "has no reference"),
        ({"method": "styleid"}, "new", "method styleid works on the picture itself"),
        ({"weight": 0, "blocks": "0" + ",0" * 15}, "new", "all weights are 0"),
    ):
        with pytest.raises(InstantStyleError, match=words):
            save(name, **fields)
    assert encoders == [] and len(style_saving.library(TABLE).styles()) == 1


def test_the_thumbnail_is_a_small_jpeg_of_the_first_reference(folder):
    from lib_instantstyle.references.pictures import read_picture

    image = read_picture(save().info.thumbnail).image
    assert image.size == (70, 90)  # that of the reference, which is small already


def test_a_damaged_style_is_refused_where_it_is_used(folder):
    path = save().path
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InstantStyleError, match=r"unit 1: sunset\.safetensors is not a sound"):
        prepare(style="sunset")


def test_a_style_from_elsewhere_works_where_no_encoder_is(folder, tmp_path):
    path = save().path
    style = read_style(path)
    write_style(path, replace(style, info=replace(style.info, encoder="their clip")))
    shutil.move(folder / "clip_h.safetensors", tmp_path / "gone.safetensors")
    assert "style: sunset" in prepare(style="sunset").infotext["InstantStyle 1"]
