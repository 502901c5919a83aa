"""The leak meter in a WebUI: every picture's own line, in infotext and in the API's answer."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
import torch

from tests.engine import text_to_leak
from tests.miniature import harness

ROOT = Path(__file__).parents[2]
REFERENCE = base64.b64encode((ROOT / "tests" / "pictures" / "coffee.jpg").read_bytes()).decode()
KEY = "InstantStyle 1 leak"
UNIT = {"image": REFERENCE, "leak_meter": True, "content": "a cup of coffee"}


def style(*units):
    return {"alwayson_scripts": {"InstantStyle": {"args": list(units)}}}


@pytest.fixture(scope="module")
def session():
    webui = harness.session()
    webui.add_extension(ROOT)
    webui.use("tiny_sdxl.")
    return webui


def lines(answer):
    from modules.infotext_utils import parse_generation_parameters

    return [parse_generation_parameters(text, []).get(KEY) for text in answer.infotexts]


def similarity(session, image):
    """Of a finished picture and the reference, by the image encoder alone."""
    from lib_instantstyle import hosts
    from lib_instantstyle.pure.catalog import scan
    from lib_instantstyle.tensor.embedding import ImageEmbeds
    from lib_instantstyle.tensor.encoder_input import reference_input
    from lib_instantstyle.tensor.pictures import Picture, decode_picture

    (encoder_file,) = (
        t for t in scan(hosts.model_folders()).image_encoders if t.name == "CLIP-ViT-bigG"
    )
    picture = Picture(image.convert("RGB"), hashlib.sha256(image.tobytes()).hexdigest())
    cpu = torch.device("cpu")
    with torch.no_grad():
        inputs = [reference_input(each) for each in (picture, decode_picture(REFERENCE))]
        result, own = ImageEmbeds(cpu, torch.float32).encode(inputs, encoder_file, hidden=False)
    return float(torch.nn.functional.cosine_similarity(result, own, dim=0))


def test_each_picture_of_each_batch_has_its_own_line(session):
    answer = session.txt2img(
        batch_size=2, n_iter=2, override_settings={"return_grid": False}, **style(UNIT)
    )
    read = [text_to_leak(line) for line in lines(answer)]
    assert len(answer.images) == len(read) == 4
    for image, found in zip(answer.images, read):
        assert found["reference"] == pytest.approx(similarity(session, image), abs=2e-3)
        assert -1 <= found["content"] <= 1
    assert len({found["reference"] for found in read}) > 1


def test_it_changes_no_pixel_and_is_off_by_default(session):
    quiet = session.txt2img(**style({**UNIT, "leak_meter": False}))
    measured = session.txt2img(**style(UNIT))
    assert quiet.pixels == measured.pixels
    assert lines(quiet) == [None] and lines(measured) != [None]


def test_the_api_answers_with_it(session):
    answer = session.txt2img(**style(UNIT))
    info = answer.info if isinstance(answer.info, dict) else json.loads(answer.info)
    assert info["extra_generation_params"][KEY] == lines(answer)[0]


def test_pasting_takes_no_notice_of_it(session):
    from modules.infotext_utils import parse_generation_parameters

    from lib_instantstyle.pure.infotext import read

    (text,) = session.txt2img(**style(UNIT)).infotexts
    parsed = parse_generation_parameters(text, [])
    without = {key: value for key, value in parsed.items() if key != KEY}
    assert KEY in parsed and read(parsed) == read(without)


def test_img2img_and_hires_fix_are_measured_once_finished(session):
    second = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.6}
    hires = session.txt2img(**style(UNIT), **second)
    (line,) = lines(hires)
    (image,) = hires.images
    assert text_to_leak(line)["reference"] == pytest.approx(similarity(session, image), abs=2e-3)
    changed = session.img2img(image, **style(UNIT))
    (line,) = lines(changed)
    (image,) = changed.images
    assert text_to_leak(line)["reference"] == pytest.approx(similarity(session, image), abs=2e-3)
