"""Style files: what was written comes back, and nothing hostile gets further than a sentence."""

import json
import os
import stat
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_header
from lib_instantstyle.methods import TABLE
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.models.clip_kind import OPEN_CLIP
from lib_instantstyle.styles.file import read_style, write_style
from lib_instantstyle.styles.header import (
    METADATA_KEY,
    THUMBNAIL,
    check_settings,
    metadata_of,
    read_info,
    settings_of,
)
from tests.unit.adapters import write
from tests.unit.image_encoders import hugging_face_encoder, hugging_face_tensors, open_clip_tensors
from tests.unit.styles import INFO, KIND, style
from tests.units import parse_unit


@pytest.fixture
def path(tmp_path):
    write_style(tmp_path / "sunset.safetensors", style())
    return tmp_path / "sunset.safetensors"


def rewrite(path, tensors=None, **changes):
    """The file at `path` with other tensors, or with other entries in its description."""
    content = json.loads(read_header(path).metadata[METADATA_KEY]) | changes
    metadata = {**read_header(path).metadata, METADATA_KEY: json.dumps(content)}
    kept = {k: v.clone() for k, v in load_file(path).items()}
    data = save({k: v for k, v in (kept | (tensors or {})).items() if v is not None}, metadata)
    path.write_bytes(data)


def test_a_style_comes_back_as_it_was_written(path):
    given, found = style(), read_style(path)
    assert found.info == INFO and read_info(path) == INFO
    assert torch.equal(found.vectors, given.vectors)
    assert torch.equal(found.hidden, given.hidden.half().float())
    assert found.hidden.dtype == torch.float32 and found.hidden.shape == (3, 5, 80)
    assert [p.name for p in path.parent.iterdir()] == ["sunset.safetensors"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~current_umask()


def current_umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_its_size_is_that_of_16_bit_hidden_states(path):
    """2 references and the negative rows' in 16 bits, vectors and fingerprint in 32."""
    header = read_header(path)
    assert path.stat().st_size - header.bytes == 2 * 3 * 5 * 80 + 4 * (3 * 32 + 80)


def test_hidden_states_too_large_for_16_bits_keep_32(tmp_path):
    given = style(scale=1e5)
    write_style(tmp_path / "s.safetensors", given)
    assert torch.equal(read_style(tmp_path / "s.safetensors").hidden, given.hidden)


def test_an_encoder_without_a_projection_makes_a_style_for_plus_adapters(tmp_path):
    info = replace(INFO, kind=replace(KIND, embedding_width=0))
    write_style(tmp_path / "s.safetensors", style(info))
    assert read_style(tmp_path / "s.safetensors").vectors is None
    assert info.serves == ("plus",) and INFO.serves == ("linear", "plus")


def test_an_older_file_stays_if_the_new_one_cannot_be_written(path, monkeypatch):
    before = path.read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space"):
        write_style(path, style(scale=2))
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["sunset.safetensors"]


def test_another_file_is_no_style(tmp_path):
    save_file({"x": torch.zeros(3)}, tmp_path / "lora.safetensors")
    assert read_info(tmp_path / "lora.safetensors") is None
    with pytest.raises(InstantStyleError, match=r"lora.safetensors is no saved style"):
        read_style(tmp_path / "lora.safetensors")
    with pytest.raises(InstantStyleError, match=r"missing.safetensors cannot be opened"):
        read_style(tmp_path / "missing.safetensors")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"version": 2}, "it is of version 2, 1 is known"),
        ({"references": []}, "it has 0 references"),
        ({"references": ["a"] * 17, "weights": [1] * 17}, "it has 17 references"),
        ({"weights": [1]}, "it has 2 references"),
        ({"weights": ["x", 1]}, "the weight of a reference is"),
        ({"weights": [1, float("nan")]}, "the weight of a reference is"),
        ({"weights": [11, 1]}, "the weight of a reference is"),
        ({"settings": []}, "its settings are no fields"),
        ({"encoder": "a\nb"}, "is no text"),
        ({"encoder": "x" * 300}, "is no text"),
        ({"created": 5}, "is no text"),
        ({"kind": {}}, "its encoder is not described"),
        ({"kind": 5}, "its encoder is not described"),
    ],
)
def test_a_damaged_description_is_a_sentence(path, changes, words):
    rewrite(path, **changes)
    with pytest.raises(InstantStyleError, match=f"sunset.safetensors is no sound style.*{words}"):
        read_info(path)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"image": "x"}, "its settings are no fields"),
        ({"enabled": False}, "its settings are no fields"),
        ({"colour": 1}, "its settings are no fields"),
        ({"preset": "\ud800"}, "preset is"),
        ({"preset": [[[]]]}, "preset is"),
        ({"weight": 10**4000}, "a whole number in it has 4001 digits"),
        ({"weight": 10**19}, "weight is 1"),
        ({"weight": float("nan")}, "weight is nan"),
    ],
)
def test_settings_that_no_unit_can_have_are_a_sentence(path, settings, words):
    rewrite(path, settings=settings)
    with pytest.raises(InstantStyleError, match=f"sunset.* is no sound style.*{words}"):
        check_settings(read_info(path), TABLE, "sunset")


@pytest.mark.parametrize(
    "number", [10**9, -1, 0, 1.5, True, "14", None], ids=lambda value: repr(value)
)
def test_an_encoder_described_by_impossible_numbers_is_a_sentence(path, number):
    kind = json.loads(read_header(path).metadata[METADATA_KEY])["kind"]
    rewrite(path, kind=kind | {"patch": number})
    with pytest.raises(InstantStyleError, match="its encoder's patch is"):
        read_info(path)


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({"hidden_states": None}, "hidden_states is missing"),
        ({"hidden_states": torch.zeros(2, 5, 80)}, r"hidden_states is F32 of shape \(2, 5, 80\)"),
        ({"image_vectors": torch.zeros(1, 32)}, r"image_vectors is F32 of shape \(1, 32\)"),
        ({"fingerprint": torch.zeros(80, dtype=torch.int8)}, "fingerprint is I8"),
    ],
)
def test_tensors_that_do_not_fit_the_description_are_a_sentence(path, tensors, words):
    rewrite(path, tensors)
    with pytest.raises(InstantStyleError, match=words):
        read_info(path)


def test_numbers_that_are_none_are_a_sentence(path):
    rewrite(path, {"image_vectors": torch.full((3, 32), torch.nan)})
    with pytest.raises(InstantStyleError, match="image_vectors holds values that are no finite"):
        read_style(path)


@pytest.mark.parametrize("thumbnail", ["no base64!", "A" * 300_000], ids=["broken", "huge"])
def test_a_bad_thumbnail_is_a_sentence(path, thumbnail):
    metadata = {**read_header(path).metadata, THUMBNAIL: thumbnail}
    path.write_bytes(save({k: v.clone() for k, v in load_file(path).items()}, metadata))
    with pytest.raises(InstantStyleError, match="thumbnail"):
        read_info(path)


def test_a_file_of_a_size_no_style_has_is_a_sentence(path):
    with path.open("r+b") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(InstantStyleError, match=r"68,\d{3},\d{3} bytes; a style has up to"):
        read_info(path)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_are_a_sentence_or_a_style(tmp_path_factory, noise, at):
    path = tmp_path_factory.mktemp("fuzz") / "s.safetensors"
    write_style(path, style())
    content = bytearray(path.read_bytes())
    content[at : at + len(noise)] = noise
    path.write_bytes(content)
    try:
        read_style(path)
    except InstantStyleError as error:
        assert str(error).startswith("s.safetensors")


def test_an_encoder_is_recognised_in_every_format_and_no_other_is(tmp_path):
    tensors = hugging_face_tensors(hugging_face_encoder("H"))
    other = {k: v + 0.1 * torch.randn_like(v.float()).to(v) for k, v in tensors.items()}
    three = dict(tensors)
    name = "vision_model.embeddings.class_embedding"
    three[name] = three[name][None, None].clone()
    for file, content in {
        "a": tensors,
        "b": {k: v.half() for k, v in tensors.items()},
        "c": {k: v.bfloat16() for k, v in tensors.items()},
        "d": three,
        "x": other,
        "y": open_clip_tensors("H"),
        "z": open_clip_tensors("bigG"),
    }.items():
        write(tmp_path / f"{file}.safetensors", content)
    made = replace(style(), fingerprint=tensors[name].float())
    assert {t.name: made.is_by(t) for t in scan([tmp_path]).image_encoders} == {
        **dict.fromkeys("abcd", True),
        **dict.fromkeys("xyz", False),
    }


def test_the_layout_of_the_file_is_not_part_of_the_encoder(tmp_path):
    tensors = open_clip_tensors("H")
    write(tmp_path / "o.safetensors", tensors)
    (encoder_file,) = scan([tmp_path]).image_encoders
    assert encoder_file.kind.layout == OPEN_CLIP
    assert replace(style(), fingerprint=tensors["visual.class_embedding"]).is_by(encoder_file)


def test_settings_hold_what_differs_and_no_picture(tmp_path):
    unit = parse_unit(
        {
            "image": "aGVsbG8=",
            "mask": "aGVsbG8=",
            "weight": 0.8,
            "layout_weight": 0.4,
            "blocks": "up_blocks.0.attentions.1=1; 3:0.5",
            "content": 'a "cup", red',
            "report": True,
        }
    )
    settings = json.loads(json.dumps(settings_of(unit)))
    assert settings.keys() == {"weight", "layout_weight", "blocks", "content", "report"}
    without = replace(unit, image=(), mask=None)
    assert parse_unit(settings) == without


def test_the_metadata_is_text_alone():
    assert all(isinstance(value, str) for value in metadata_of(INFO).values())
