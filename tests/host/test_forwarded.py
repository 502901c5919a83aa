"""Arguments that are kept, copied and handed on; many pictures with one reference."""

from __future__ import annotations

import copy
import json
import pickle
import zlib

import pytest
from PIL import Image

from tests.host.generations import UNIT, style
from tests.units import PAGE_FIELDS, PAGE_PICTURES

FRAME = Image.new("RGB", (64, 64), (40, 90, 200))


def generation(webui, given, tab="txt2img", **fields):
    """A generation whose always-on script of ours has `given` in its first slots."""
    from modules import processing, scripts

    kind = {
        "txt2img": processing.StableDiffusionProcessingTxt2Img,
        "img2img": processing.StableDiffusionProcessingImg2Img,
    }[tab]
    runner = getattr(scripts, f"scripts_{tab}")
    p = kind(
        sd_model=webui.sd_model, prompt="a cat", width=64, height=64,
        do_not_save_samples=True, do_not_save_grid=True, **fields,
    )  # fmt: skip
    arguments = list(getattr(webui.api, f"default_script_arg_{tab}"))
    first = webui.script("InstantStyle", tab).args_from
    arguments[first : first + len(given)] = given
    p.scripts, p.script_args = runner, tuple(arguments)
    p.seed, p.steps, p.sampler_name, p.scheduler = 1, 2, "Euler", "Automatic"
    return p


def make(p):
    from modules import processing

    return [image.convert("RGB").tobytes() for image in processing.process_images(p).images]


def page_values(webui, tab):
    """What the page hands to our script where the first unit has a reference."""
    script = webui.script("InstantStyle", tab)
    values = list(getattr(webui.api, f"default_script_arg_{tab}"))
    values = values[script.args_from : script.args_to]
    units = (len(values) - 1) // (len(PAGE_FIELDS) + len(PAGE_PICTURES))
    values[0] = True
    values[1 + units * len(PAGE_FIELDS) + PAGE_PICTURES.index("image")] = UNIT["image"]
    return values


@pytest.mark.parametrize("form", ["object", "page"])
@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_arguments_survive_a_queue(webui, tab, form):
    """sd-webui-agent-scheduler keeps the values of the page pickled and compressed, for later."""
    given = [UNIT] if form == "object" else page_values(webui, tab)
    fields = {} if tab == "txt2img" else {"init_images": [FRAME], "denoising_strength": 0.8}
    if tab == "txt2img":
        expected = webui.txt2img(**style(UNIT)).pixels
    else:
        expected = webui.img2img(FRAME, denoising_strength=0.8, **style(UNIT)).pixels
    p = generation(webui, given, tab, **fields)
    kept = zlib.compress(pickle.dumps(list(p.script_args)))
    p.script_args = tuple(pickle.loads(zlib.decompress(kept)))  # noqa: S301  # made a line above
    assert make(p) == expected


def test_what_hangs_on_a_generation_is_no_burden_to_who_copies_it(webui, monkeypatch):
    """stable-diffusion-webui-distributed copies `p.__dict__` deeply and sends it as JSON."""
    from modules import scripts

    seen = []
    real = scripts.ScriptRunner.process

    def look(self, p):
        real(self, p)
        seen.append([name for name in vars(p) if "instantstyle" in name.lower()])

    before = []
    real_before = scripts.ScriptRunner.before_process

    def look_before(self, p):
        real_before(self, p)
        before.append([name for name in vars(p) if "instantstyle" in name.lower()])
        ours = webui.script("InstantStyle")
        arguments = p.script_args[ours.args_from : ours.args_to]
        assert json.loads(json.dumps(arguments)) == list(copy.deepcopy(arguments))

    monkeypatch.setattr(scripts.ScriptRunner, "process", look)
    monkeypatch.setattr(scripts.ScriptRunner, "before_process", look_before)
    p = generation(webui, page_values(webui, "txt2img"))
    make(p)
    make(p)  # as in a batch folder
    assert seen[0] and before == [[], []]


def test_a_folder_of_frames_encodes_its_reference_once(webui, monkeypatch, tmp_path):
    from modules import img2img

    from lib_instantstyle.clip import image_encoder
    from lib_instantstyle.hosts.a1111 import A1111
    from lib_instantstyle.references import vectors

    frames, out = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    for i in range(5):
        Image.new("RGB", (64, 64), (40 * i, 90, 200 - 30 * i)).save(frames / f"{i:03}.png")
    monkeypatch.setattr(vectors.cache(), "tensors", type(vectors.cache().tensors)())
    monkeypatch.setattr(A1111, "embeddings_folder", lambda self: None)  # as if never seen
    encoded, read = [], []
    forward = image_encoder.ImageEncoder.forward
    monkeypatch.setattr(
        image_encoder.ImageEncoder,
        "forward",
        lambda self, pixels: encoded.append(len(pixels)) or forward(self, pixels),
    )
    load = vectors.load_image_encoder
    monkeypatch.setattr(vectors, "load_image_encoder", lambda *a: read.append(1) or load(*a))
    p = generation(webui, [UNIT], "img2img", denoising_strength=0.8)
    p.do_not_save_samples = False
    results = img2img.process_batch(p, str(frames), str(out), "", p.script_args)
    assert len(results.images) == len(list(out.glob("*.png"))) == 5
    assert all("InstantStyle 1" in text for text in results.infotexts)
    assert encoded == [1] and read == [1]
