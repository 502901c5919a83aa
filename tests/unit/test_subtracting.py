"""What a unit's content does to the feature of its reference, and what a plan says of it."""

from types import SimpleNamespace

import pytest
import torch

from lib_instantstyle.content import suggestions
from lib_instantstyle.content.removal import describe_mode, describe_subtraction
from lib_instantstyle.content.similarity import stock_vectors
from lib_instantstyle.content.subtraction import takes_content_out, without_content
from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.units.choices import CONTENT_MODES
from tests.unit.text_hosts import Loaded, TextHost
from tests.unit.webui_host import context_of
from tests.units import Unit

WIDTH = 24
IMAGES = torch.randn(2, WIDTH, generator=torch.Generator().manual_seed(1))


def adapter(hidden=False):
    projection = SimpleNamespace(takes_hidden_states=hidden, feature_width=WIDTH)
    return SimpleNamespace(name="some", kind=SimpleNamespace(projection=projection))


@pytest.fixture
def world(tmp_path, monkeypatch):
    monkeypatch.setattr(stock_vectors, "__defaults__", (tmp_path / "stock",))
    loaded = Loaded(WIDTH)
    said = []
    return SimpleNamespace(
        loaded=loaded,
        said=said,
        adapter=adapter(),
        context=context_of(
            TextHost(tmp_path, loaded), notify=said.append, catalog=scan([tmp_path])
        ),
    )


def test_several_texts_are_averaged_and_scaled(world):
    unit = Unit(content="a cup | tea", content_scale=0.7)
    cup, tea = world.loaded.vectors(["a cup", "tea"])
    left, suggested = without_content(IMAGES, unit, world.adapter, world.context)
    torch.testing.assert_close(left, IMAGES - 0.7 * (cup + tea) / 2)
    assert world.said == [] and suggested == ()


@pytest.mark.parametrize("off", [{"content": ""}, {"content": " |"}, {"content_scale": 0.0}])
def test_nothing_to_take_out_changes_no_bit_and_asks_no_encoder(world, off):
    unit = Unit(**{"content": "a cup", "content_scale": 0.5, **off})
    assert without_content(IMAGES, unit, world.adapter, world.context)[0] is IMAGES
    assert not takes_content_out(unit) and describe_mode(unit, WIDTH) == ""
    assert world.loaded.asked == []


def test_the_plan_says_what_would_be_subtracted_and_who_reads_it(world):
    unit = Unit(content="a cup | tea", content_mode="projection")
    assert describe_subtraction(unit, content_source(WIDTH, "auto", world.context)) == (
        "0.5 times 'a cup' and 'tea' (projection), read by the loaded checkpoint's text encoder."
    )


@pytest.mark.parametrize(
    ("given", "clear"),
    [
        ({"content": "a cup"}, "clear content"),
        ({"auto_content": 1}, "set auto_content to 0"),
        ({"content": "a cup", "auto_content": 1}, "clear content and set auto_content to 0"),
    ],
)
def test_patches_are_refused_with_what_helps_instead(world, given, clear):
    with pytest.raises(InstantStyleError) as caught:
        without_content(IMAGES, Unit(**given), adapter(hidden=True), world.context)
    assert str(caught.value) == (
        "content cannot be taken out with adapter some, which sees patches instead of one "
        "image vector; name the content by a negative_image, cut it off with a "
        f"reference_mask, choose a linear adapter such as ip-adapter_sdxl, or {clear}."
    )


# -- words that a reference suggests --------------------------------------------------------------


@pytest.fixture
def words(monkeypatch):
    few = ("cat", "cup", "house", "old cup", "table", "tree")
    monkeypatch.setattr(suggestions, "nouns", lambda: few)
    return few


def looking_like(world, *texts):
    """Image vectors that are each like one text, and less like the others."""
    vectors = world.loaded.vectors([f"a picture of a {text}" for text in texts])
    return vectors + 0.7 * vectors.flip(0)


def test_each_reference_suggests_its_own_words_and_loses_them(world, words):
    images = looking_like(world, "cat", "house")
    unit = Unit(auto_content=1, content="tea", content_scale=1.0)
    left, suggested = without_content(images, unit, world.adapter, world.context)
    assert suggested == (("cat",), ("house",))
    (tea,) = world.loaded.vectors(["tea"])
    for image, found, (word,) in zip(images, left, suggested):
        (own,) = world.loaded.vectors([f"a picture of a {word}"]).half().float()
        torch.testing.assert_close(found, image - (tea + own) / 2)


def test_the_vocabulary_is_encoded_once(world, words):
    images = looking_like(world, "cat", "house")
    world.loaded.asked.clear()
    for _ in range(2):
        without_content(images, Unit(auto_content=2), world.adapter, world.context)
    assert world.loaded.asked == [f"a picture of {'an' if w[0] in 'o' else 'a'} {w}" for w in words]


@pytest.mark.parametrize(
    ("content", "best"),
    [("", "cup"), ("a CUP, full", "cat"), ("an old cup", "cat"), ("tea", "cup")],
)
def test_a_word_that_is_named_is_not_suggested(world, words, content, best):
    images = looking_like(world, "cup", "cat")[:1]
    unit = Unit(auto_content=1, content=content)
    assert without_content(images, unit, world.adapter, world.context)[1] == ((best,),)


def test_a_vector_of_zeros_suggests_nothing(world, words):
    """Such as the difference of a picture and itself."""
    zeros = torch.zeros(1, WIDTH)
    left, suggested = without_content(zeros, Unit(auto_content=3), world.adapter, world.context)
    assert torch.equal(left, zeros) and suggested == ((),)


@pytest.mark.parametrize("mode", CONTENT_MODES)
def test_a_text_without_numbers_is_refused(world, monkeypatch, mode):
    """A mask would find nothing above it, and leave the content in without a word."""
    monkeypatch.setattr(Loaded, "_vector", lambda self, text: torch.full((WIDTH,), float("nan")))
    unit = Unit(content="a cup", content_mode=mode, clip_source="loaded")
    with pytest.raises(InstantStyleError, match="text encoder leads to numbers"):
        without_content(IMAGES, unit, world.adapter, world.context)
