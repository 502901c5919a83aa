"""The leak meter's line: written, read, and what it measures."""

import pytest
import torch
from PIL import Image

from lib_instantstyle.hosts import context
from lib_instantstyle.layout import SDXL
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references import vectors
from lib_instantstyle.run.leak import LEAK_KEY, leak_meters, leak_to_text, measure
from lib_instantstyle.units.infotext import OWN_KEY
from tests.engine import text_to_leak
from tests.unit.adapters import adapter_tensors, write
from tests.unit.image_encoders import (
    ENCODERS,
    hugging_face_encoder,
    hugging_face_tensors,
    image_embeds,
)
from tests.unit.pictures import reference
from tests.unit.text_hosts import Loaded, TextHost
from tests.unit.unets import unet_like
from tests.unit.webui_host import context_of
from tests.units import parse_unit

WIDTH = ENCODERS["H"][3]


def test_the_line_is_read_as_written():
    assert leak_to_text(0.2149, 0.63) == "content 0.215, reference 0.630"
    assert text_to_leak(leak_to_text(-0.05, 1.0)) == {"content": -0.05, "reference": 1.0}
    assert text_to_leak(leak_to_text(None, 0.5)) == {"reference": 0.5}
    assert OWN_KEY.fullmatch(LEAK_KEY.format(12))


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(context, "model_folders", lambda: [tmp_path])
    write(tmp_path / "clip.pth", hugging_face_tensors(hugging_face_encoder("H")))
    write(tmp_path / "adapter.safetensors", adapter_tensors(unet_like(SDXL), WIDTH))
    return TextHost(tmp_path, Loaded(WIDTH))


def meters(host, **unit):
    _, text = reference()
    given = parse_unit({"image": text, "leak_meter": True, **unit}, number=3)
    return leak_meters([given], context_of(host, unet_like(SDXL)))


def test_a_picture_that_is_the_reference_reads_one(host):
    image, _ = reference()
    assert measure(meters(host), image, context_of(host), last=True) == {
        "InstantStyle 3 leak": "reference 1.000"
    }


def test_cosines_are_those_of_the_libraries_vectors(host):
    flat = Image.new("RGB", (80, 60), (200, 30, 90))
    found = measure(meters(host, content="a cup | tea"), flat, context_of(host), True)
    line = found["InstantStyle 3 leak"]
    read = text_to_leak(line)
    network = hugging_face_encoder("H")
    from tests.unit.image_processor import CLIPImageProcessor

    with torch.no_grad():
        pixels = CLIPImageProcessor()(flat, return_tensors="pt")["pixel_values"]
        result = network(pixels).image_embeds[0]
    words = host.loaded.vectors(["a cup", "tea"]).mean(dim=0)
    cosine = torch.nn.functional.cosine_similarity
    assert read["content"] == pytest.approx(float(cosine(result, words, dim=0)), abs=1e-3)
    assert read["reference"] == pytest.approx(
        float(cosine(result, image_embeds(), dim=0)), abs=1e-3
    )


def test_content_that_is_not_subtracted_is_measured_all_the_same(host):
    image, _ = reference()
    line = measure(meters(host, content="a cup", content_scale=0), image, context_of(host), True)
    assert set(text_to_leak(line["InstantStyle 3 leak"])) == {"content", "reference"}


def test_the_encoder_stays_for_the_pictures_of_a_batch_and_no_longer(host):
    image, _ = reference()
    found = meters(host)
    vectors.cache().release_encoder()
    measure(found, Image.new("RGB", (9, 9)), context_of(host), last=False)
    assert len(vectors.cache().encoders) == 1
    measure(found, image, context_of(host), last=True)
    assert not vectors.cache().encoders


def test_an_encoder_without_projection_is_refused(host, tmp_path):
    tensors = hugging_face_tensors(hugging_face_encoder("H"))
    del tensors["visual_projection.weight"]
    write(tmp_path / "clip.pth", tensors)
    plus = adapter_tensors(unet_like(SDXL), ENCODERS["H"][0], projection="plus")
    write(tmp_path / "adapter.safetensors", plus)
    assert not scan([tmp_path]).image_encoders[0].kind.embedding_width
    with pytest.raises(Exception, match="unit 3: leak_meter is on, but no CLIP image encoder"):
        meters(host)
