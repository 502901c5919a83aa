"""Content taken out of a reference inside a WebUI: by its text encoder, or by one from a file."""

import base64
import io
import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from lib_instantstyle.models.catalog import scan
from tests.host.generations import UNIT, style
from tests.miniature.flavour import FORGE, flavour
from tests.miniature.networks.text import OpenCLIPText, TextConfig
from tests.miniature.recorder import Recorder

CONTENT = {**UNIT, "content": "a cup of coffee", "content_scale": 0.7}
TEXT_H = TextConfig(width=128, layers=2, heads=2, embed_dim=64)  # beside the tiny ViT-H


@pytest.fixture
def text_h(session):
    """The text half of the tiny ViT-H, in our own folder while the test runs."""
    torch.manual_seed(3)
    network = OpenCLIPText(TEXT_H).eval().requires_grad_(False)
    folder = own_folder()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "open_clip_h.safetensors"
    save_file(network.state_dict(), path)
    yield network
    path.unlink()
    shutil.rmtree(folder / "cache", ignore_errors=True)


def own_folder():
    from lib_instantstyle.hosts.folders import own_folder

    return own_folder()


def loaded():
    from lib_instantstyle import hosts

    checkpoint = hosts.loaded_checkpoint()
    return hosts.current(checkpoint), checkpoint


# -- the loaded encoder ---------------------------------------------------------------------------


@pytest.mark.usefixtures("as_in_generation")
def test_the_text_vector_is_the_webuis_own(session):
    session.use("tiny_sdxl.")
    host, checkpoint = loaded()
    encoder = host.text_encoder(checkpoint)
    texts = ["a cat", "(a cat:1.5)", "a cup of coffee on a table"]
    vectors = encoder.vectors(texts)
    assert vectors.shape == (3, encoder.width) == (3, 256)
    for text, vector in zip(texts, vectors):
        own = session.sd_model.get_learned_conditioning([text])["vector"][0, : len(vector)]
        assert torch.allclose(vector, own.float(), atol=1e-6)


@pytest.mark.usefixtures("as_in_generation")
def test_another_checkpoint_is_another_encoder(session):
    session.use("tiny_sdxl.")
    host, checkpoint = loaded()
    first = host.text_encoder(checkpoint).identity
    assert "tiny_sdxl" in first and host.text_encoder(checkpoint).identity == first
    file = Path(session.sd_model.sd_checkpoint_info.filename)
    before = file.stat().st_mtime_ns
    file.touch()
    try:
        assert host.text_encoder(checkpoint).identity != first
    finally:
        os.utime(file, ns=(before, before))
    session.use("tiny_sd15.")
    host, checkpoint = loaded()
    assert host.text_encoder(checkpoint) is None


def test_content_is_subtracted_and_said(session):
    session.use("tiny_sdxl.")
    styled = session.txt2img(**style(UNIT))
    less = session.txt2img(**style(CONTENT))
    assert less.pixels != styled.pixels
    assert "content: a cup of coffee, content_scale: 0.7" in less.infotexts[0]
    other = session.txt2img(**style({**CONTENT, "content": "a spoon"}))
    along = session.txt2img(**style({**CONTENT, "content_mode": "projection"}))
    assert len({str(a.pixels) for a in (styled, less, other, along)}) == 4
    for off in ({"content_scale": 0}, {"content": ""}, {"content": " | "}):
        answer = session.txt2img(**style({**CONTENT, **off}))
        assert answer.pixels == styled.pixels
    assert len(session.txt2img(batch_size=4, **style(CONTENT)).images) == 4


def test_the_prompts_own_conditioning_is_the_same_with_content(session):
    session.use("tiny_sdxl.")
    with Recorder() as plain:
        session.txt2img(prompt="(a cat:1.2), red")
    with Recorder() as styled:
        session.txt2img(prompt="(a cat:1.2), red", **style({**UNIT, "content": "a cup"}))
    for a, b in zip(plain.denoiser, styled.denoiser):
        assert torch.equal(a.text_cond["crossattn"], b.text_cond["crossattn"])
        assert torch.equal(a.text_uncond["vector"], b.text_uncond["vector"])


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny_sd15.", "tiny_sdxl."])
def test_a_text_file_serves_where_the_loaded_encoder_does_not(name, session, text_h):
    session.use(name)
    unit = dict(UNIT)
    if name == "tiny_sdxl.":
        unit["adapter"] = "ip-adapter_sdxl_vit-h"
    styled = session.txt2img(**style(unit))
    less = session.txt2img(**style({**unit, "content": "a cup"}))
    assert less.pixels != styled.pixels
    named = session.txt2img(**style({**unit, "content": "a cup", "clip_source": "file"}))
    assert named.pixels == less.pixels
    assert "clip_source: file" in named.infotexts[0]
    answer = session.txt2img(
        **style({**unit, "content": "a cup", "clip_source": "loaded"}), expect=422
    )
    assert "clip_source is 'loaded', but the loaded checkpoint" in answer.body["detail"]


@pytest.mark.usefixtures("as_in_generation")
def test_the_vector_from_a_file_is_that_of_the_encoder_in_it(session, text_h):
    from lib_instantstyle.content.text_encoders import content_source
    from lib_instantstyle.hosts.context import Context

    session.use("tiny_sd15.")
    host, checkpoint = loaded()
    context = Context(checkpoint, catalog=scan([own_folder()]))
    encoder = content_source(64, "auto", context).encoder
    assert encoder.title == "text encoder open_clip_h"
    (ids,) = host.token_ids(checkpoint, ["a cup of tea"])
    row = [49406, *ids, 49407]
    tokens = torch.tensor([row + [0] * (77 - len(row))])
    _, expected = text_h(tokens)
    assert torch.allclose(encoder.vectors(["a cup of tea"]), expected, atol=1e-5)


def test_a_missing_side_is_refused_with_what_to_put_where(session):
    unit = {**UNIT, "content": "a cup"}
    session.use("tiny_sd15.")
    detail = session.txt2img(**style(unit), expect=422).body["detail"]
    assert "the loaded checkpoint has no text encoder that ends in the space of pictures" in detail
    assert "with vectors of 64 numbers into models/InstantStyle" in detail
    session.use("tiny_sdxl.")
    answer = session.txt2img(**style({**unit, "adapter": "ip-adapter_sdxl_vit-h"}), expect=422)
    assert "makes vectors of 256 numbers, 64 are needed" in answer.body["detail"]
    answer = session.txt2img(**style({**UNIT, "content": "cup " * 80}), expect=422)
    assert "has 80 tokens; up to 75 are allowed" in answer.body["detail"]


@pytest.mark.usefixtures("as_in_generation")
def test_an_encoder_that_strayed_is_said_beside_the_picture(session, tmp_path, monkeypatch):
    from modules import processing

    from lib_instantstyle.content import similarity
    from lib_instantstyle.content.similarity import PROBE_WORDS

    said = []
    monkeypatch.setattr(
        processing.StableDiffusionProcessing, "comment", lambda self, text: said.append(text)
    )
    session.use("tiny_sdxl.")
    stock = tmp_path / "stock.safetensors"
    words = {"words": ",".join(PROBE_WORDS)}
    monkeypatch.setattr(similarity.stock_vectors, "__defaults__", (stock,))
    host, checkpoint = loaded()
    own = host.text_encoder(checkpoint).vectors(PROBE_WORDS)
    try:
        save_file({"256": own.half()}, stock, metadata=words)
        session.txt2img(**style(CONTENT))
        assert said == []
        save_file({"256": torch.randn_like(own).half()}, stock, metadata=words)
        session.txt2img(**style(CONTENT))
        assert "text encoder was trained away from the image encoder" in said[0]
    finally:
        shutil.rmtree(own_folder() / "cache", ignore_errors=True)


@pytest.mark.usefixtures("as_in_generation")
@pytest.mark.skipif(flavour() == FORGE, reason="Forge's encoders take rows of any length")
def test_an_encoder_that_read_many_short_texts_is_whole_again(session):
    """Also when it fails in their midst."""
    session.use("tiny_sdxl.")
    host, p = loaded()
    encoder = host.text_encoder(p)
    network = encoder.embedder.wrapped.model
    before = network.positional_embedding, network.attn_mask
    lengths = []

    def look(module, args):
        lengths.append(args[0].shape[1])
        if len(lengths) == 2:
            raise ZeroDivisionError("on purpose")

    hook = network.token_embedding.register_forward_pre_hook(look)
    try:
        with pytest.raises(ZeroDivisionError):
            encoder.vectors([f"word{i}" for i in range(40)])
    finally:
        hook.remove()
    assert lengths == [3, 3]  # a word and its two ends
    assert network.positional_embedding is before[0] and network.attn_mask is before[1]
    assert encoder.vectors(["a cup"]).shape == (1, 256)


# -- what a reference shows -----------------------------------------------------------------------


def picture():
    from lib_instantstyle.references.pictures import decode_picture

    return decode_picture(UNIT["image"])


@pytest.mark.usefixtures("as_in_generation")
def test_a_reference_is_described_without_a_generation(session, few_nouns):
    from lib_instantstyle.content.report import describe_content
    from lib_instantstyle.content.word_vectors import caption
    from lib_instantstyle.models.selection import choose
    from lib_instantstyle.references.vectors import ImageEmbeds
    from lib_instantstyle.references.views import reference_input
    from lib_instantstyle.unet.layers import find_layers
    from tests.units import parse_unit

    session.use("tiny_sdxl.")
    unit = parse_unit({"content": "a cup | tea", "content_scale": 0.7})
    told = []
    report = describe_content(picture(), unit, 5, lambda *said: told.append(said))
    reader, all_of_them = "the loaded checkpoint's text encoder", len(few_nouns)
    assert told[0] == (reader, 32, all_of_them)
    assert told[-1] == (reader, all_of_them, all_of_them)
    assert (report.adapter, report.image_encoder) == ("ip-adapter_sdxl", "CLIP-ViT-bigG")
    assert (report.text_encoder, report.comment) == ("the loaded checkpoint's text encoder", "")

    host, p = loaded()
    from lib_instantstyle.hosts import model_folders

    catalog = scan(model_folders())
    network = choose("auto", catalog, find_layers(host.unet(p))).image_encoder
    with torch.no_grad():
        embeds = ImageEmbeds(host.device(), host.encoder_dtype())
        (image,) = embeds.encode([reference_input(picture())], network, hidden=False)
    texts = [
        session.sd_model.get_learned_conditioning([text])["vector"][0, :256].float()
        for text in ("a cup", "tea", *(caption(s.noun) for s in report.suggestions))
    ]
    left = image - 0.7 * (texts[0] + texts[1]) / 2
    cosine = torch.nn.functional.cosine_similarity
    for found, text in zip(report.texts, texts):
        assert found.before == pytest.approx(float(cosine(image, text, dim=0)), abs=1e-5)
        assert found.after == pytest.approx(float(cosine(left, text, dim=0)), abs=1e-5)
    assert report.removed == pytest.approx(float((image - left).norm() / image.norm()), abs=1e-5)
    assert len(report.suggestions) == 5
    for found, text in zip(report.suggestions, texts[2:]):
        assert found.cosine == pytest.approx(float(cosine(image, text, dim=0)), abs=1e-3)
    assert [s.cosine for s in report.suggestions] == sorted(
        (s.cosine for s in report.suggestions), reverse=True
    )


def test_a_second_look_asks_no_text_encoder(session, few_nouns, monkeypatch):
    from lib_instantstyle.content.report import describe_content
    from lib_instantstyle.hosts import text
    from tests.units import Unit

    session.use("tiny_sdxl.")
    first = describe_content(picture(), Unit())
    assert first.texts == () and first.removed == 0

    def refuse(*args):
        raise AssertionError("the text encoder ran")

    monkeypatch.setattr(text, "_pooled", refuse)
    assert describe_content(picture(), Unit()) == first


def test_the_crop_and_the_mask_of_the_unit_are_what_is_described(session):
    from lib_instantstyle.content.report import describe_content
    from tests.units import parse_unit

    session.use("tiny_sdxl.")
    half = Image.new("L", (100, 100))
    half.paste(255, (0, 0, 50, 100))
    file = io.BytesIO()
    half.save(file, "PNG")
    mask = base64.b64encode(file.getvalue()).decode()
    found = {
        describe_content(picture(), parse_unit({"content": "a cup", **seen}), 0).texts[0].before
        for seen in ({}, {"crop": "stretch"}, {"reference_mask": mask})
    }
    assert len(found) == 3


def test_what_is_missing_for_a_description_is_said(session):
    from lib_instantstyle.content.report import describe_content
    from lib_instantstyle.errors import InstantStyleError
    from tests.units import Unit

    session.use("tiny_sd15.")
    with pytest.raises(InstantStyleError, match="content cannot be read: the loaded checkpoint"):
        describe_content(picture(), Unit())
