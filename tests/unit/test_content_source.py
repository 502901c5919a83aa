"""Which text encoder reads the content, and what is said where none can."""

from dataclasses import replace

import pytest
import torch

from lib_instantstyle.content import similarity, text_vectors
from lib_instantstyle.content.similarity import MIN_AGREEMENT, PROBE_WORDS
from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.content.text_vectors import FileTextEncoder
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.session import SESSION
from tests.stock_words import write_stock_words
from tests.unit.adapters import write
from tests.unit.text_encoders import (
    hugging_face_text_encoder,
    hugging_face_text_tensors,
    open_clip_text_encoder,
    open_clip_text_tensors,
    padded,
)
from tests.unit.text_hosts import Loaded, TextHost, word_ids
from tests.unit.webui_host import context_of

WIDTH = 32  # of the vectors of the small "H"


@pytest.fixture(autouse=True)
def no_stock_vectors(monkeypatch, tmp_path):
    """Whether the real file is there must not matter."""
    monkeypatch.setattr(similarity.stock_vectors, "__defaults__", (tmp_path / "stock",))
    SESSION.clear()


@pytest.fixture
def file(tmp_path):
    write(tmp_path / "models" / "clip_h.bin", open_clip_text_tensors(open_clip_text_encoder("H")))
    return scan([tmp_path / "models"])


def nothing(tmp_path):
    return scan([tmp_path / "none"])


def source(tmp_path, catalog, clip_source="auto", loaded=None, width=WIDTH, tokens=word_ids):
    host = TextHost(tmp_path, loaded, tokens)
    return content_source(width, clip_source, context_of(host, catalog=catalog))


def sentence(*args, **kwargs):
    with pytest.raises(InstantStyleError) as caught:
        source(*args, **kwargs)
    return str(caught.value)


def test_auto_takes_the_loaded_encoder_where_its_width_fits(tmp_path):
    loaded = Loaded(WIDTH)
    found = source(tmp_path, nothing(tmp_path), loaded=loaded)
    assert found.encoder is loaded
    assert (found.agreement, found.comment) == (None, "")
    assert loaded.asked == []  # nothing to compare with: no words are encoded


@pytest.mark.parametrize("loaded", [None, Loaded(40)])
def test_auto_takes_a_file_where_the_loaded_encoder_does_not_fit(loaded, tmp_path, file):
    found = source(tmp_path, file, loaded=loaded)
    assert isinstance(found.encoder, FileTextEncoder)
    assert (found.encoder.title, found.encoder.width) == ("text encoder clip_h", WIDTH)
    expected = open_clip_text_encoder("H")(padded(word_ids(["a cup", "tea"]), 0))
    vectors = found.encoder.vectors(["a cup", "tea"])
    torch.testing.assert_close(vectors, expected, atol=1e-5, rtol=1e-5)


def test_a_file_is_loaded_for_new_texts_only(tmp_path, file, monkeypatch):
    calls = []
    load = text_vectors.load_text_encoder
    monkeypatch.setattr(text_vectors, "load_text_encoder", lambda *a: calls.append(1) or load(*a))
    encoder = source(tmp_path, file).encoder
    first = encoder.vectors(["a cup", "tea"])
    again = source(tmp_path, file).encoder.vectors(["tea", "a cup"])
    assert len(calls) == 1
    assert torch.equal(first, again.flip(0))


def test_without_memory_on_the_device_a_file_is_run_on_the_cpu_and_that_is_said(
    tmp_path, file, monkeypatch
):
    class OnDevice(TextHost):
        def device(self):
            return torch.device("cuda")

    def full(path, kind, device, dtype, *rest):
        tried.append((device.type, dtype))
        if device.type != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return load(path, kind, device, dtype, *rest)

    expected = source(tmp_path, file).encoder.vectors(["a cup"])
    SESSION.clear()
    load, tried, said = text_vectors.load_text_encoder, [], []
    monkeypatch.setattr(text_vectors, "load_text_encoder", full)
    found = content_source(
        WIDTH, "auto", context_of(OnDevice(tmp_path), notify=said.append, catalog=file)
    )
    assert torch.equal(found.encoder.vectors(["a cup"]), expected)
    assert [kind for kind, _ in tried] == ["cuda", "cpu"] and tried[1][1] == torch.float32
    assert said == [
        "cuda has not enough memory for text encoder clip_h; it ran on the CPU, which takes longer."
    ]


def test_file_is_taken_though_the_loaded_encoder_fits(tmp_path, file):
    loaded = Loaded(WIDTH)
    found = source(tmp_path, file, "file", loaded)
    assert found.encoder.title == "text encoder clip_h" and loaded.asked == []


def test_each_missing_side_has_its_sentence(tmp_path, file):
    none = nothing(tmp_path)
    assert sentence(tmp_path, none, "file", Loaded(1280), width=1280) == (
        "clip_source is 'file', but no text encoder file with vectors of 1280 numbers was found; "
        "put the text encoder of ViT-bigG/14 (text_encoder_2 of "
        "stabilityai/stable-diffusion-xl-base-1.0) into models/InstantStyle."
    )
    assert sentence(tmp_path, none, "loaded", width=1024) == (
        "clip_source is 'loaded', but the loaded checkpoint has no text encoder that ends in the "
        "space of pictures; put the text encoder of ViT-H/14 (open_clip_pytorch_model of "
        "laion/CLIP-ViT-H-14-laion2B-s32B-b79K) into models/InstantStyle, or clear content."
    )
    assert sentence(tmp_path, file, "loaded", Loaded(1280)) == (
        "clip_source is 'loaded', but the loaded checkpoint's text encoder makes vectors of 1280 "
        f"numbers, {WIDTH} are needed; choose clip_source 'auto', or clear content."
    )
    assert sentence(tmp_path, file, "auto", Loaded(1280), width=768) == (
        "content cannot be read: the loaded checkpoint's text encoder makes vectors of 1280 "
        "numbers, 768 are needed, and no text encoder file that does was found (found: clip_h "
        "makes 32); put the text encoder of ViT-L/14 (model.safetensors of "
        "openai/clip-vit-large-patch14) into models/InstantStyle, or clear content."
    )


def test_a_file_without_projection_is_named_where_it_could_be_meant(tmp_path):
    tensors = hugging_face_text_tensors(hugging_face_text_encoder("L"))
    del tensors["text_projection.weight"]
    write(tmp_path / "m" / "clip_l.safetensors", tensors)
    text = sentence(tmp_path, scan([tmp_path / "m"]), width=768)
    assert "(found: clip_l has no projection)" in text


def test_a_file_needs_the_checkpoints_tokenizer(tmp_path, file):
    with pytest.raises(InstantStyleError, match=r"clip_h cannot be used: .* no CLIP tokenizer"):
        source(tmp_path, file, tokens=None).encoder.vectors(["a cup"])


def test_a_text_of_more_than_one_chunk_is_refused_with_its_count(tmp_path, file):
    encoder = source(tmp_path, file).encoder
    encoder.vectors(["cup " * 75])
    with pytest.raises(InstantStyleError, match="has 76 tokens; up to 75 are allowed"):
        encoder.vectors(["cup " * 76])


# -- the space ------------------------------------------------------------------------------------


def stock(tmp_path, file):
    return source(tmp_path, file, "file").encoder


def test_an_encoder_in_the_stock_space_is_taken_without_a_word(tmp_path, file):
    loaded = Loaded(WIDTH, stock(tmp_path, file), stray=0.1)
    found = source(tmp_path, file, loaded=loaded)
    assert found.encoder is loaded and found.comment == ""
    assert found.agreement == pytest.approx(1 / 1.01**0.5, abs=0.01)  # cos of atan(0.1)


def test_auto_leaves_an_encoder_that_strayed_for_the_file_and_says_so(tmp_path, file):
    loaded = Loaded(WIDTH, stock(tmp_path, file), stray=1.0)
    found = source(tmp_path, file, loaded=loaded)
    assert found.encoder.title == "text encoder clip_h"
    assert found.agreement == pytest.approx(0.5**0.5, abs=0.1)
    assert found.comment == (
        "the loaded checkpoint's text encoder was trained away from the image "
        f"encoder (its vectors agree with the stock encoder's to {found.agreement:.2f}, 0.9 is "
        "needed); the content was read by text encoder clip_h."
    )


def test_loaded_keeps_an_encoder_that_strayed_and_offers_the_file(tmp_path, file):
    loaded = Loaded(WIDTH, stock(tmp_path, file), stray=1.0)
    found = source(tmp_path, file, "loaded", loaded)
    assert found.encoder is loaded
    assert found.comment.endswith("; clip_source 'file' takes the stock one.")


def test_the_verdict_is_kept_for_each_checkpoint(tmp_path, file):
    loaded = Loaded(WIDTH, stock(tmp_path, file), stray=1.0, identity="one")
    first = source(tmp_path, file, loaded=loaded).agreement
    assert loaded.asked == list(PROBE_WORDS)
    assert source(tmp_path, file, loaded=loaded).agreement == first
    assert loaded.asked == list(PROBE_WORDS)
    other = Loaded(WIDTH, stock(tmp_path, file), stray=0.0, identity="two")
    assert source(tmp_path, file, loaded=other).agreement > 0.999


def test_stored_stock_vectors_serve_without_any_file(tmp_path, file, monkeypatch):
    data = tmp_path / "stock_words.safetensors"
    write_stock_words([tmp_path / "models" / "clip_h.bin"], data, word_ids)
    monkeypatch.setattr(similarity.stock_vectors, "__defaults__", (data,))
    strayed = Loaded(WIDTH, stock(tmp_path, file), stray=1.0)
    found = source(tmp_path, nothing(tmp_path), loaded=strayed)
    assert found.encoder is strayed and found.agreement < MIN_AGREEMENT
    assert found.comment.endswith(
        "; for a clean subtraction put a CLIP text encoder with vectors of 32 numbers into "
        "models/InstantStyle."
    )
    close = Loaded(WIDTH, stock(tmp_path, file), stray=0.1, identity="close")
    assert source(tmp_path, nothing(tmp_path), loaded=close).comment == ""
    assert data.stat().st_size < 8_000


def test_stock_vectors_of_other_words_do_not_count(tmp_path, file, monkeypatch):
    data = tmp_path / "stock_words.safetensors"
    write_stock_words([tmp_path / "models" / "clip_h.bin"], data, word_ids)
    assert similarity.stock_vectors(WIDTH, data).shape == (20, WIDTH)
    assert similarity.stock_vectors(WIDTH + 1, data) is None
    monkeypatch.setattr(similarity, "PROBE_WORDS", ("other", *PROBE_WORDS[1:]))
    assert similarity.stock_vectors(WIDTH, data) is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_another_number_format_is_no_other_space(tmp_path, file, dtype):
    encoder = stock(tmp_path, file)
    exact = encoder.vectors(PROBE_WORDS)
    SESSION.clear()
    rounded = replace(encoder, dtype=dtype).vectors(PROBE_WORDS)
    assert not torch.equal(rounded, exact)
    assert similarity.agreement(rounded, exact) > 0.999
