"""Vectors of word lists: computed once, kept on disk, and what is most like a picture."""

import time

import pytest
import torch
from torch.nn import functional as F

from lib_instantstyle.content import word_vectors as module
from lib_instantstyle.content.similarity import best_matches, cosines
from lib_instantstyle.content.word_vectors import caption, nouns, word_vectors
from tests.unit.text_hosts import Loaded

WORDS = ["apple", "black cat", "cat", "dog"]


def test_a_list_is_computed_once_for_each_encoder_and_list(tmp_path):
    encoder, told = Loaded(24), []
    first = word_vectors(encoder, WORDS, tmp_path, told.append)
    torch.testing.assert_close(first.float(), encoder.vectors(WORDS), atol=2e-3, rtol=1e-3)
    assert first.dtype == torch.float16 and told == [4]
    encoder.asked.clear()
    assert torch.equal(word_vectors(encoder, WORDS, tmp_path, told.append), first)
    assert encoder.asked == [] and told == [4]
    word_vectors(encoder, WORDS[:3], tmp_path)
    word_vectors(Loaded(24, identity="another"), WORDS, tmp_path)
    assert len(list(tmp_path.iterdir())) == 3  # and no temporary file


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, None])
def test_a_damaged_file_is_computed_anew(tmp_path, damage):
    encoder = Loaded(24)
    first = word_vectors(encoder, WORDS, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-9] if damage is None else damage)
    assert torch.equal(word_vectors(encoder, WORDS, tmp_path), first)
    encoder.asked.clear()
    word_vectors(encoder, WORDS, tmp_path)
    assert encoder.asked == []


def test_a_folder_that_cannot_be_written_costs_time_only(tmp_path):
    (tmp_path / "file").write_text("no folder")
    found = word_vectors(Loaded(24), WORDS, tmp_path / "file")
    assert found.shape == (4, 24)
    assert (tmp_path / "file").read_text() == "no folder"


def test_the_lists_used_longest_ago_make_room_and_nothing_else_does(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CAPACITY", 900)
    (tmp_path / "not ours.safetensors").write_bytes(b"\0" * 5000)
    encoders = [Loaded(24, identity=str(i)) for i in range(4)]
    for encoder in encoders[:3]:  # some 260 bytes each
        word_vectors(encoder, WORDS, tmp_path)
        time.sleep(0.02)
    word_vectors(encoders[0], WORDS, tmp_path)  # used again
    time.sleep(0.02)
    word_vectors(encoders[3], WORDS, tmp_path)
    for encoder in encoders:
        encoder.asked.clear()
    assert (tmp_path / "not ours.safetensors").exists()
    word_vectors(encoders[0], WORDS, tmp_path)
    word_vectors(encoders[3], WORDS, tmp_path)
    assert not encoders[0].asked and not encoders[3].asked
    word_vectors(encoders[1], WORDS, tmp_path)
    assert encoders[1].asked


def test_suggestions_from_a_warm_cache_take_less_than_a_fifth_of_a_second(tmp_path):
    encoder = Loaded(1280)
    captions = [caption(noun) for noun in nouns()]
    word_vectors(encoder, captions, tmp_path)
    image = torch.randn(1280)
    best = min(_seconds(encoder, captions, tmp_path, image) for _ in range(5))
    assert best < 0.2
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 4_200_000


def _seconds(encoder, captions, folder, image):
    start = time.perf_counter()
    best_matches(image, word_vectors(encoder, captions, folder), nouns(), 8)
    return time.perf_counter() - start


def test_cosines_are_those_of_torch_on_vectors_of_any_length():
    generator = torch.Generator().manual_seed(0)
    image, texts = (
        torch.randn(24, generator=generator),
        torch.randn(5, 24, generator=generator) * 30,
    )
    expected = F.normalize(texts, dim=1) @ F.normalize(image, dim=0)
    torch.testing.assert_close(cosines(image, texts), expected)
    assert float(cosines(image, image[None] * 4)) == pytest.approx(1)


def test_the_best_come_first_and_say_nothing_twice():
    image = torch.tensor([1.0, 0.0])
    angles = torch.tensor([1.0, 0.1, 0.2, 0.3])  # of apple, black cat, cat, dog
    texts = torch.stack([angles.cos(), angles.sin()], dim=1)
    found = best_matches(image, texts, WORDS, 3)
    assert [name for name, _ in found] == ["black cat", "dog", "apple"]
    assert found[0][1] == pytest.approx(float(angles[1].cos()))
    assert best_matches(image, texts, WORDS, 1) == found[:1]
