"""The leak meter in a WebUI: every picture's own line, in infotext and in the API's answer."""

import hashlib
import json

import pytest
import torch

from tests.engine import text_to_leak
from tests.host.generations import UNIT as COFFEE
from tests.host.generations import style

KEY = "InstantStyle 1 leak"
UNIT = {**COFFEE, "leak_meter": True, "content": "a cup of coffee"}


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def lines(answer):
    from modules.infotext_utils import parse_generation_parameters

    return [parse_generation_parameters(text, []).get(KEY) for text in answer.infotexts]


def similarity(webui, image):
    """Of a finished picture and the reference, by the image encoder alone."""
    from lib_instantstyle import hosts
    from lib_instantstyle.models.catalog import scan
    from lib_instantstyle.references.pictures import Picture, decode_picture
    from lib_instantstyle.references.vectors import ImageEmbeds
    from lib_instantstyle.references.views import reference_input

    (encoder_file,) = (
        t for t in scan(hosts.model_folders()).image_encoders if t.name == "CLIP-ViT-bigG"
    )
    picture = Picture(image.convert("RGB"), hashlib.sha256(image.tobytes()).hexdigest())
    cpu = torch.device("cpu")
    with torch.no_grad():
        inputs = [reference_input(each) for each in (picture, decode_picture(UNIT["image"]))]
        result, own = ImageEmbeds(cpu, torch.float32).encode(inputs, encoder_file, hidden=False)
    return float(torch.nn.functional.cosine_similarity(result, own, dim=0))


def test_each_picture_of_each_batch_has_its_own_line(webui):
    answer = webui.txt2img(
        batch_size=2, n_iter=2, override_settings={"return_grid": False}, **style(UNIT)
    )
    read = [text_to_leak(line) for line in lines(answer)]
    assert len(answer.images) == len(read) == 4
    for image, found in zip(answer.images, read):
        assert found["reference"] == pytest.approx(similarity(webui, image), abs=2e-3)
        assert -1 <= found["content"] <= 1
    assert len({found["reference"] for found in read}) > 1


def test_it_changes_no_pixel_and_is_off_by_default(webui):
    quiet = webui.txt2img(**style({**UNIT, "leak_meter": False}))
    measured = webui.txt2img(**style(UNIT))
    assert quiet.pixels == measured.pixels
    assert lines(quiet) == [None] and lines(measured) != [None]


def test_the_api_answers_with_it(webui):
    answer = webui.txt2img(**style(UNIT))
    info = answer.info if isinstance(answer.info, dict) else json.loads(answer.info)
    assert info["extra_generation_params"][KEY] == lines(answer)[0]


def test_pasting_takes_no_notice_of_it(webui):
    from modules.infotext_utils import parse_generation_parameters

    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.units.infotext import read

    (text,) = webui.txt2img(**style(UNIT)).infotexts
    parsed = parse_generation_parameters(text, [])
    without = {key: value for key, value in parsed.items() if key != KEY}
    assert KEY in parsed and read(parsed, TABLE) == read(without, TABLE)


def test_img2img_and_hires_fix_are_measured_once_finished(webui):
    second = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6}
    hires = webui.txt2img(**style(UNIT), **second)
    (line,) = lines(hires)
    (image,) = hires.images
    assert text_to_leak(line)["reference"] == pytest.approx(similarity(webui, image), abs=2e-3)
    changed = webui.img2img(image, **style(UNIT))
    (line,) = lines(changed)
    (image,) = changed.images
    assert text_to_leak(line)["reference"] == pytest.approx(similarity(webui, image), abs=2e-3)
