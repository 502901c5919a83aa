"""Names of styles: nothing leaves the folder, and no file system mixes two of them up."""

import unicodedata
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.styles.names import LENGTH, check_name, same_name


@pytest.mark.parametrize(
    "name", ["sunset", "Van Gogh (late)", "été", "水彩 2", "हिन्दी", "it's a-b_c.d+e&f!", "com10"]
)
def test_ordinary_names_pass_unchanged(name):
    assert check_name(f"  {name} ") == name


@pytest.mark.parametrize(
    "name",
    ["", " ", ".", "..", ".hidden", "dot.", "a/b", "a\\b", "../x", "C:x", "a:b", "a<b", "a>b",
     "a|b", "a?b", "a*b", 'a"b', "a=b", "a\nb", "a\0b", "a\u202eb", "CON", "nul.txt", "Com1.x.y",
     "lpt9 ", "COM¹", "con .txt", "x" * (LENGTH + 1)],
)  # fmt: skip
def test_names_that_no_disk_or_prompt_can_hold_are_refused_with_a_sentence(name):
    with pytest.raises(InstantStyleError, match=r"^the name .* is not allowed") as caught:
        check_name(name)
    assert len(str(caught.value)) < 250 and "\n" not in str(caught.value)


@given(st.text(max_size=80))
@example("e\u0301té")
@example("\u00a0.")
def test_what_passes_is_one_plain_file_name_everywhere(name):
    try:
        clean = check_name(name)
    except InstantStyleError:
        return
    file = f"{clean}.safetensors"
    assert len(file.encode()) <= 255
    for kind in (PurePosixPath, PureWindowsPath):
        path = kind("styles") / file
        assert path.name == file and path.parts == ("styles", file)
    assert not set(clean) & set('<>:"/\\|?*=') and clean.isprintable()
    assert not PureWindowsPath(file).is_reserved()
    assert clean == clean.strip(" .") and check_name(clean) == clean


@given(st.text(alphabet=st.characters(categories=["L", "M", "N"]), min_size=1, max_size=10))
def test_names_that_differ_in_case_or_composition_are_the_same(name):
    same = {same_name(form) for form in (name, name.casefold(), unicodedata.normalize("NFD", name))}
    assert len(same) == 1


def test_two_different_names_are_not_the_same():
    assert len({same_name(name) for name in ("sunset", "sunset 2", "Sunset_2", "sunsét")}) == 4


def test_a_name_that_passed_can_be_written(tmp_path):
    for name in ("é" * LENGTH, "水" * LENGTH, "𝒳" * LENGTH):
        path = Path(tmp_path, f"{check_name(name)}.safetensors")
        path.write_bytes(b"")
        assert path.exists()
