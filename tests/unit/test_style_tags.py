"""Tags in prompts: what they ask for, and that nothing in them is passed over in silence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.methods import TABLE
from lib_instantstyle.styles.tags import in_pass, parse_tag, passes_of, tags_in, unit_of
from tests.units import Unit, parse_unit

SAVED = {"weight": 0.5, "layout_weight": 0.2, "preset": "style+layout", "content": "a cup"}


def unit(content, settings=SAVED, place=3):
    return unit_of(parse_tag(content, TABLE), settings, place, TABLE)


def test_tags_are_found_wherever_they_stand_and_in_any_case():
    prompt = (
        "a cat <instantstyle:sunset:0.8>, (hat:1.2) <lora:x:1><InstantStyle:ink>, <instantstyle>"
    )
    assert tags_in(prompt) == ["sunset:0.8", "ink"]
    assert tags_in("a cat <instantstyle:>") == []  # the WebUI takes this for text, too


def test_a_tag_brings_the_settings_that_its_style_was_saved_with():
    found = unit("sunset")
    assert found == parse_unit({**SAVED, "style": "sunset"})
    assert (found.number, found.tag, found.title) == (3, *["<instantstyle:sunset>"] * 2)
    assert unit("sunset", {}) == parse_unit({"style": "sunset"})


def test_its_number_multiplies_every_weight_that_was_saved():
    found = unit("sunset:0.5")
    assert (found.weight, found.layout_weight, found.boost) == (0.25, 0.1, None)
    assert unit("sunset:2", {}).weight == 2
    assert not unit("sunset:0").acts


def test_its_fields_replace_what_was_saved():
    found = unit(" sunset : 1 : preset=layout : end=0.5 : content= ")
    assert (found.style, found.preset, found.end, found.content) == ("sunset", "layout", 0.5, "")
    assert found.weight == 0.5
    assert unit("sunset:weight=2").weight == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (":0.8", "<instantstyle:name> or|cannot be read"),
        ("a:0.8:0.9", "cannot be read"),
        ("a:strong", "the weight is 'strong'; a number from -10 to 10"),
        ("a:11", "the weight is '11'"),
        ("a:nan", "the weight is 'nan'"),
        ("a:colour=red", "'colour' is no field that a tag can set"),
        ("a:image=x", "'image' is no field"),
        ("a:mask=x", "'mask' is no field"),
        ("a:style=b", "'style' is no field"),
        ("a:enabled=false", "'enabled' is no field"),
        ("a:preset=none", "preset is 'none'; one of"),
        ("a:10:weight=1", r"weight is 10.0; a number from -2 to 5"),
        ("a:start=2", "start is '2'; a number from 0 to 1"),
    ],
)
def test_a_tag_that_cannot_be_read_is_a_sentence_that_quotes_it(content, words):
    with pytest.raises(InstantStyleError, match=words) as caught:
        unit(content, {})
    assert str(caught.value).startswith(f"'<instantstyle:{content}")
    assert "unit 1" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_tag_is_a_unit_or_a_sentence(content):
    for found in tags_in(f"<instantstyle:{content}>"):
        try:
            assert isinstance(unit(found), Unit)
        except InstantStyleError as error:
            assert "\n" not in str(error) and len(str(error)) < 400


def test_passes_of_hires_fix_with_prompts_of_their_own():
    assert passes_of(["a", "b:1"], None) == [("a", "both"), ("b:1", "both")]
    assert passes_of(["a", "b"], ["b", "a"]) == [("a", "both"), ("b", "both")]
    assert passes_of(["a"], []) == [("a", "base")]
    assert passes_of(["a"], ["a", "b"]) == [("a", "base"), ("a", "hires"), ("b", "hires")]


@pytest.mark.parametrize(
    ("saved", "which", "expected"),
    [("both", "base", "base"), ("hires", "hires", "hires"), ("hires", "base", None)],
)
def test_a_pass_that_the_style_leaves_out_stays_left_out(saved, which, expected):
    found = in_pass(Unit(hires_pass=saved), which)
    assert (found.hires_pass if found.acts else None) == expected
