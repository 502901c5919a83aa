"""Text vectors from files, against transformers' and open_clip's own text encoders."""

import re

import pytest
import torch

from lib_instantstyle.clip.text_encoder import load_text_encoder
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import SDXL
from lib_instantstyle.models.catalog import scan
from tests.unit.adapters import adapter_tensors, write
from tests.unit.image_encoders import encoder_tensors
from tests.unit.text_encoders import (
    TEXT_ENCODERS,
    hugging_face_text_encoder,
    hugging_face_text_tensors,
    open_clip_text_encoder,
    open_clip_text_tensors,
    padded,
)
from tests.unit.unets import unet_like

TEXTS = [[320, 1929, 539], [2368], list(range(1000, 1075))]  # three tokens, one, as many as fit
CPU = torch.device("cpu")
UNUSED = {"text_model.embeddings.position_ids", "logit_scale"}


def encoder_in(path):
    (found,) = scan([path.parent]).text_encoders
    return found.kind, load_text_encoder(found.path, found.kind, CPU, torch.float32)


@pytest.mark.parametrize("name", TEXT_ENCODERS)
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_vectors_equal_those_of_transformers(name, suffix, tmp_path):
    network = hugging_face_text_encoder(name)
    path = write(tmp_path / f"text{suffix}", hugging_face_text_tensors(network))
    kind, encoder = encoder_in(path)
    width, layers, mlp, projection, _ = TEXT_ENCODERS[name]
    assert (kind.width, kind.layers, kind.mlp_width) == (width, layers, mlp)
    assert (kind.embedding_width, kind.positions) == (projection, 77)
    expected = network(padded(TEXTS, network.config.pad_token_id)).text_embeds
    with torch.no_grad():
        torch.testing.assert_close(encoder.encode(TEXTS), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", TEXT_ENCODERS)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_vectors_equal_those_of_open_clip(name, suffix, tmp_path):
    network = open_clip_text_encoder(name)
    path = write(tmp_path / f"open_clip_pytorch_model{suffix}", open_clip_text_tensors(network))
    _, encoder = encoder_in(path)
    with torch.no_grad():
        expected = network(padded(TEXTS, 0))
        torch.testing.assert_close(encoder.encode(TEXTS), expected, atol=1e-5, rtol=1e-5)


def test_one_text_alone_or_among_others_has_the_same_vector(tmp_path):
    path = write(tmp_path / "t.safetensors", open_clip_text_tensors(open_clip_text_encoder("H")))
    _, encoder = encoder_in(path)
    with torch.no_grad():
        together = encoder.encode(TEXTS)
        for ids, vector in zip(TEXTS, together):
            torch.testing.assert_close(encoder.encode([ids])[0], vector, atol=1e-5, rtol=1e-5)


def test_a_full_clip_file_is_both_an_image_and_a_text_encoder(tmp_path):
    both = {
        **encoder_tensors(32),
        **hugging_face_text_tensors(hugging_face_text_encoder("H")),
        "logit_scale": torch.tensor(4.6),
    }
    write(tmp_path / "clip_h.bin", both)
    catalog = scan([tmp_path])
    assert [(t.name, t.kind.embedding_width) for t in catalog.image_encoders] == [("clip_h", 32)]
    assert [(t.name, t.kind.embedding_width) for t in catalog.text_encoders] == [("clip_h", 32)]
    assert not catalog.refused


def test_what_is_no_clip_text_encoder_is_passed_over(tmp_path):
    tensors = open_clip_text_tensors(open_clip_text_encoder("H"))
    other_words = {**tensors, "token_embedding.weight": torch.zeros(21128, 128)}
    gap = {k: v for k, v in tensors.items() if ".resblocks.1." not in k}
    adapter = {**adapter_tensors(unet_like(SDXL), 24), "logit_scale": torch.tensor(1.0)}
    for i, each in enumerate((other_words, gap, adapter)):
        write(tmp_path / f"{i}.safetensors", each)
    assert not scan([tmp_path]).text_encoders


def test_an_encoder_without_projection_is_refused(tmp_path):
    tensors = hugging_face_text_tensors(hugging_face_text_encoder("H"))
    del tensors["text_projection.weight"]
    path = write(tmp_path / "clip_l.safetensors", tensors)
    with pytest.raises(InstantStyleError, match=r"clip_l.safetensors has no projection to a text"):
        encoder_in(path)


def test_a_missing_or_damaged_tensor_is_named(tmp_path):
    name = "transformer.resblocks.2.attn.out_proj.weight"
    tensors = open_clip_text_tensors(open_clip_text_encoder("H"))
    path = write(tmp_path / "t.safetensors", {k: v for k, v in tensors.items() if k != name})
    with pytest.raises(InstantStyleError, match=f"the tensor {name} is missing"):
        encoder_in(path)
    write(path, {**tensors, name: tensors[name] * torch.inf})
    with pytest.raises(InstantStyleError, match="no finite numbers"):
        encoder_in(path)


@pytest.mark.parametrize("layout", ["Hugging Face", "OpenCLIP"])
def test_an_encoder_is_never_used_without_one_of_its_tensors(layout, tmp_path):
    """Each left out alone; the last layer must not go unseen for what it lacks."""
    if layout == "OpenCLIP":
        tensors = open_clip_text_tensors(open_clip_text_encoder("H"))
    else:
        tensors = hugging_face_text_tensors(hugging_face_text_encoder("H"))
    for number, name in enumerate(tensors):
        path = tmp_path / str(number) / "t.safetensors"
        write(path, {n: t for n, t in tensors.items() if n != name})
        if scan([path.parent]).text_encoders and name not in UNUSED:
            with pytest.raises(InstantStyleError, match=f"{re.escape(name)}|has no projection"):
                encoder_in(path)
        path.unlink()  # all of them together would fill a gigabyte


def test_the_image_half_is_not_read(tmp_path):
    tensors = open_clip_text_tensors(open_clip_text_encoder("H"))
    tensors["visual.proj"] = torch.full((8, 8), torch.nan)
    encoder_in(write(tmp_path / "t.safetensors", tensors))
