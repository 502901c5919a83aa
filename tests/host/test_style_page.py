"""The library in a unit's tab: save, pick, rename, delete, import, export."""

from __future__ import annotations

import re
import shutil

import pytest

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.styles.file import write_style
from tests.host.generations import picture
from tests.host.generations import style as given
from tests.unit.styles import style

COFFEE = picture("coffee.jpg")
UNIT = "script_txt2img_instantstyle_unit_1_"


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def press(webui, part, event="click", **values):
    """Picked style, card, message and choices after an event of unit 1."""
    given = {f"{UNIT}{name}": value for name, value in values.items()}
    picked, shown, said, *others = webui.press(f"{UNIT}{part}", event, **given)
    return picked, shown, said, others


def test_infotext_brings_back_the_style_where_the_picture_is_gone(webui, library, monkeypatch):
    """The library keeps what was made of a reference; the picture itself may be gone."""
    from lib_instantstyle.page.paste import paster

    press(webui, "style_save", style_name="ink", image=COFFEE)

    def pasted(**fields):
        answer = webui.txt2img(**given({"image": COFFEE, "weight": 0.5, **fields}))
        text = re.search(r'InstantStyle 1: "(.*?)"(?:,|$)', answer.infotexts[0])
        params = {"InstantStyle 1": text[1]}
        return [paster(1, name)(params) for name in ("style", "image", "weight")]

    style, image, weight = pasted()
    assert (style, weight) == ("", 0.5) and image.startswith("data:image/jpeg;base64,")
    shutil.rmtree(library.folder.parent / "references")
    monkeypatch.setitem(webui.shared.opts.data, "instantstyle_reference_store_mb", 0)
    assert pasted() == ["ink", "", 0.5]
    style, image, _ = pasted(crop="pad")  # the style was made of another part
    assert style == "" and image.startswith("gone:")
    library.delete("ink")
    assert pasted() == ["", image, 0.5]


def names(update):
    return [choice if isinstance(choice, str) else choice[-1] for choice in update["choices"]]


def test_saving_offers_the_style_to_every_unit_and_leaves_this_one_its_reference(webui, library):
    picked, shown, said, others = press(
        webui, "style_save", style_name="ink", image=COFFEE, weight=0.5
    )
    assert "value" not in picked and names(picked) == ["", "ink"]
    assert others and all(names(other) == ["", "ink"] for other in others)
    assert "data:image/jpeg;base64," in shown and "1 reference" in shown
    assert said.startswith("Saved as ink, ")
    assert library.find("ink").info.settings["weight"] == 0.5


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"style_name": "ink"}, "has no reference"),
        ({"style_name": " ", "image": COFFEE}, "The style needs a name; type one first."),
        ({"style_name": "<b>", "image": COFFEE}, "The name &#x27;&lt;b&gt;&#x27; is not allowed"),
    ],
)
def test_what_cannot_be_saved_is_a_sentence_and_changes_nothing(webui, library, values, words):
    picked, _, said, _ = press(webui, "style_save", **values)
    assert words in said and "instantstyle-problem" in said
    assert "value" not in picked and library.styles() == []


def test_a_style_is_replaced_by_a_second_press_for_the_same_alone(webui, library, monkeypatch):
    from lib_instantstyle.page import styles

    def save(**values):
        return press(webui, "style_save", **{"style_name": "ink", "image": COFFEE, **values})[2]

    asks = "A style named &#x27;ink&#x27; is there already; press the button again to replace it"
    assert save().startswith("Saved as ink, ")
    made = library.find("ink").path.read_bytes()
    assert asks in save()  # the very same, which was not refused before
    assert asks in save(weight=0.5)
    assert asks in save(weight=0.6)  # something else than what was asked about
    assert "press the button again" in save(style_name="INK", weight=0.7)
    assert library.find("ink").path.read_bytes() == made
    assert save(weight=0.7).startswith("Saved as ink, ")
    assert library.find("ink").info.settings["weight"] == 0.7
    assert [style.name for style in library.styles()] == ["ink"]
    assert asks in save(weight=0.8)
    now = styles.time.monotonic
    monkeypatch.setattr(styles.time, "monotonic", lambda: now() + 3600)
    assert asks in save(weight=0.8)  # an hour later nobody remembers


def test_renaming_and_deleting_act_on_the_picked_style(webui, library):
    library.take_in(saved_file(library), "ink")
    picked, _, said, _ = press(webui, "style_rename", style="ink", style_name="black ink")
    assert (picked["value"], said) == ("black ink", "Renamed to black ink.")
    picked, shown, said, _ = press(webui, "style_delete", style="")  # "no" in the browser
    assert len(library.styles()) == 1 and "value" not in picked
    picked, shown, said, _ = press(webui, "style_delete", style="black ink")
    assert (picked["value"], shown, said) == ("", "", "Deleted black ink.")
    assert library.styles() == []
    _, _, said, _ = press(webui, "style_rename", style="", style_name="x")
    assert "No saved style is picked" in said


def saved_file(library):
    path = library.folder.parent / "elsewhere.safetensors"
    write_style(path, style())
    data = path.read_bytes()
    path.unlink()
    return data


def test_a_file_exported_can_be_imported(webui, library, tmp_path):
    from lib_instantstyle.page import styles

    library.take_in(saved_file(library), "ink")
    exported = styles.export("ink")
    assert exported.name == "ink.safetensors" and exported.parent != library.folder
    library.delete("ink")
    assert styles.take_in(str(exported), "") == ("ink", "Imported as ink.")
    assert styles.take_in(str(exported), "again")[0] == "again"
    assert [saved.name for saved in library.styles()] == ["again", "ink"]
    made = set(exported.parent.parent.glob("instantstyle-*"))
    for _ in range(3):
        assert styles.export("ink") == exported
    assert set(exported.parent.parent.glob("instantstyle-*")) == made
    shutil.rmtree(exported.parent)  # as what clears temporary folders does
    assert styles.export("again").parent == exported.parent


def test_an_upload_is_not_read_beyond_what_a_style_may_have(webui, library, tmp_path, monkeypatch):
    from lib_instantstyle.page import styles

    large = tmp_path / "large.safetensors"
    with large.open("wb") as file:
        file.truncate(2**34)  # which no disk holds and no memory would
    with pytest.raises(InstantStyleError, match="large has more than 67,108,864 bytes"):
        styles.take_in(str(large), "")


def test_a_style_of_another_encoder_is_shown_as_such(webui, library):
    library.take_in(saved_file(library), "theirs")
    (shown,) = webui.press(f"{UNIT}style", "change", **{f"{UNIT}style": "theirs"})
    assert "Made with the image encoder CLIP-ViT-H-14, which is not here." in shown
    _, ours, _, _ = press(webui, "style_save", style_name="ours", image=COFFEE)
    assert "1 reference" in ours and "which is not here" not in ours


def test_a_damaged_style_is_told_of_where_it_is_picked(webui, library):
    library.take_in(saved_file(library), "ink")
    path = library.find("ink").path
    path.write_bytes(path.read_bytes()[:-1])
    (shown,) = webui.press(f"{UNIT}style", "change", **{f"{UNIT}style": "ink"})
    assert "instantstyle-problem" in shown and "ends before its tensors do" in shown
