"""What a unit's content does to the feature of its reference, and what a plan says of it."""

from types import SimpleNamespace

import pytest
import torch

from lib_instantstyle.content.similarity import stock_vectors
from lib_instantstyle.content.subtraction import describe_subtraction, without_content
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.models.catalog import scan
from tests.unit.text_hosts import Loaded, TextHost
from tests.unit.webui_host import context_of
from tests.units import Unit

WIDTH = 24
IMAGE = torch.randn(WIDTH, generator=torch.Generator().manual_seed(1))


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
    left = without_content(IMAGE, unit, world.adapter, world.context)
    torch.testing.assert_close(left, IMAGE - 0.7 * (cup + tea) / 2)
    assert world.said == []


@pytest.mark.parametrize("off", [{"content": ""}, {"content": " |"}, {"content_scale": 0.0}])
def test_nothing_to_take_out_changes_no_bit_and_asks_no_encoder(world, off):
    unit = Unit(**{"content": "a cup", "content_scale": 0.5, **off})
    assert without_content(IMAGE, unit, world.adapter, world.context) is IMAGE
    assert describe_subtraction(unit, world.adapter, world.context) == ""
    assert world.loaded.asked == []


def test_the_plan_says_what_would_be_subtracted_and_who_reads_it(world):
    unit = Unit(content="a cup | tea", content_mode="projection")
    assert describe_subtraction(unit, world.adapter, world.context) == (
        "0.5 times 'a cup' and 'tea' (projection), read by the loaded checkpoint's text encoder."
    )


def test_patches_are_refused_with_what_helps_instead(world):
    patches = adapter(hidden=True)
    for act in (
        lambda: without_content(IMAGE, Unit(content="a cup"), patches, world.context),
        lambda: describe_subtraction(Unit(content="a cup"), patches, world.context),
    ):
        with pytest.raises(InstantStyleError) as caught:
            act()
        assert str(caught.value) == (
            "content cannot be taken out with adapter some, which sees patches instead of one "
            "image vector; name the content by a negative_image, cut it off with a "
            "reference_mask, choose a linear adapter such as ip-adapter_sdxl, or clear content."
        )
