"""The state of a unit on the page, the button that mends it, and what changes a unit for a result.

Whatever is said before a generation is compared with what the generation does.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path

import pytest

from lib_instantstyle.methods import TABLE
from lib_instantstyle.units.advice import BURNT, COMPLAINTS, CONTENT, LAST, NOTHING, STRONG, WEAK
from tests.host.generations import UNIT, picture, style

HERE = {"weight": 1}
LINE = re.compile(
    r'data-state="(\w+)" data-fields="[^"]*" data-for="[^"]*" data-map="([^"]*)">'
    r"<span>([^<]*)</span>"
    r'(?:<button [^>]*data-request="([^"]*)">([^<]*)<)?'
)


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


class State:
    def __init__(self, answer):
        kind, drawn, text, request, title = LINE.search(answer).groups()
        self.kind, self.text, self.title = kind, html.unescape(text), html.unescape(title or "")
        self.map = json.loads(html.unescape(drawn))
        self.request = json.loads(html.unescape(request)) if request else None


def facts(tab="txt2img", on=True, **pictures):
    """pictures: of unit 1; a reference if nothing else is said."""
    boxes = {"image": [HERE], **pictures}
    return json.dumps({"tab": tab, "on": on, "units": [boxes]})


def states(webui, said=None, tab="txt2img", **fields):
    """fields: of unit 1, or of another as `weight_2`."""
    own = f"script_{tab}_instantstyle_"
    values = {
        f"{own}unit_{number or 1}_{name}": value
        for (name, number), value in ((named(key), value) for key, value in fields.items())
    }
    said = facts(tab) if said is None else said
    answers = webui.press(f"{own}look", **values, **{f"{own}facts": said})
    return [State(answer) for answer in answers]


def named(key):
    name, _, number = key.rpartition("_")
    return (name, number) if number.isdigit() else (key, "")


def state(webui, said=None, tab="txt2img", **fields):
    return states(webui, said, tab, **fields)[0]


def test_each_of_the_states(webui):
    assert state(webui).kind == "ready"
    empty = state(webui, facts(image=[]))
    assert empty.kind == "empty" and empty.text.startswith("No reference yet: drop a picture")
    assert "into 10 of 70 layers" in empty.text
    off = state(webui, facts(on=False))
    assert off.kind == "off" and off.text.startswith("InstantStyle is switched off. ip-adapter")
    assert (off.title, off.request) == ("Switch on", {"do": "on", "unit": 1})
    off = state(webui, enabled=False)
    assert off.kind == "off" and off.text.startswith("This unit is off. ip-adapter")
    assert off.title == "Switch on"
    idle = state(webui, weight=0)
    assert idle.kind == "idle" and "its weight is 0" in idle.text
    assert idle.request == {"do": "set", "unit": 1, "values": {"weight": 1.0}}
    idle = state(webui, facts(image=[{"weight": 0}]))
    assert idle.kind == "idle" and "the weight of each reference is 0" in idle.text
    idle = state(webui, blocks="*=0")
    assert idle.kind == "idle" and "no block has a weight" in idle.text
    assert idle.request == {"do": "set", "unit": 1, "values": {"blocks": ""}}
    assert state(webui, weight=0, palette=0.5).kind == "ready"
    assert state(webui, "nonsense").kind == "empty"
    assert state(webui, "[1]").kind == state(webui, '{"units": [3, null]}').kind == "empty"


def test_a_missing_adapter_is_downloaded_with_its_encoder(webui):
    from modules import paths_internal, shared

    models = Path(paths_internal.models_path)
    found = [each for each in models.rglob("*adapter*sdxl*") if each.is_file()]
    kept = {each: each.read_bytes() for each in found}
    for each in found:
        each.unlink()
    try:
        lacking = state(webui)
        assert lacking.kind == "file" and "no IP-Adapter for SDXL" in lacking.text.replace(
            "No", "no"
        )
        files = ["ip-adapter_sdxl.safetensors", "CLIP-ViT-bigG-14-laion2B-39B-b160k.safetensors"]
        assert lacking.request == {"do": "download", "files": files}
        assert lacking.title.endswith("(4.39 GB)")
        assert state(webui, facts(image=[], on=False)).kind == "file"
        off = state(webui, enabled=False)  # nothing would be refused for its sake
        assert off.kind == "off" and off.request == {"do": "on", "unit": 1}
        shared.cmd_opts.disable_extension_access = True  # strangers may use the page
        assert state(webui).kind == "file" and state(webui).request is None
    finally:
        shared.cmd_opts.disable_extension_access = False
        for each, data in kept.items():
            each.write_bytes(data)
    assert state(webui).kind == "ready"


CONFLICTS = {
    "blocks that fit nothing": (facts(), {"blocks": "no_block=1"}, {"blocks": ""}),
    "a picture and a style": (facts(), {"style": "ink"}, {"style": ""}),
    "an adapter of another family": (facts(), {"adapter": "ip-adapter_sd15"}, {"adapter": "auto"}),
    "a crop that is no crop here": (
        facts(),
        {"method": "swap", "crop": "tiles"},
        {"crop": "center"},
    ),
    "a value out of range": (facts(), {"end": 9}, {"end": 1.0}),
    "content of an adapter without vectors": (
        facts(),
        {"adapter": "ip-adapter-plus_sdxl_vit-h", "content": "a cup"},
        {"adapter": "auto"},
    ),
    "sides of one picture": (facts(), {"combine": "colour + texture"}, {"combine": "concat"}),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_a_conflict_is_mended_by_one_button(webui, case):
    said, fields, values = CONFLICTS[case]
    found = state(webui, said, **fields)
    assert found.kind == "conflict", found.text
    assert found.request == {"do": "set", "unit": 1, "values": values}
    assert state(webui, said, **{**fields, **values}).kind == "ready"
    # What the page says beforehand is what the generation says.
    webui.txt2img(**style({**UNIT, **fields}), expect=422)
    assert webui.txt2img(**style({**UNIT, **fields, **values})).status == 200


def test_pictures_that_a_method_cannot_have(webui):
    found = state(webui, facts(image=[HERE, HERE]), method="stylealigned")
    assert found.kind == "conflict" and "mage has 2 pictures" in found.text
    assert found.request == {"do": "keep", "unit": 1, "first": True}
    found = state(webui, facts(mask=[HERE]), method="swap")
    assert found.request == {"do": "clear", "unit": 1, "picture": "mask"}
    found = state(webui, facts(image=[{"weight": 1, "gone": "1a2b3c4d5e6f"}, HERE]))
    assert found.kind == "conflict" and "the picture '1a2b3c4d5e6f'" in found.text
    assert found.request == {"do": "keep", "unit": 1, "first": False}
    gone = [{"weight": 1, "gone": "1a2b3c4d5e6f"}]
    found = state(webui, facts(image=gone, mask=gone))
    assert found.request == {"do": "keep", "unit": 1, "first": False}
    found = state(webui, facts(image=[HERE] * 40))
    assert found.kind == "conflict" and "up to 16 are allowed" in found.text
    # The first picture of a batch may serve, so that nothing is missing there.
    for batch, kind in ((None, "ready"), (2, "ready"), (1, "empty"), ("x", "ready")):
        said = json.dumps({"units": [{"image": []}], "numbers": {"batch_size": batch}})
        assert state(webui, said, method="stylealigned").kind == kind, batch


def test_a_field_is_reset_before_a_picture_is_removed(webui):
    """A side of a single picture was chosen, and then a second one dropped."""
    found = state(webui, facts(image=[HERE, HERE]), combine="colour")
    assert found.request == {"do": "set", "unit": 1, "values": {"combine": "concat"}}
    for combine in ("colour", "colour + texture"):
        assert state(webui, facts(image=[]), combine=combine).kind == "empty"


def test_without_a_checkpoint_a_unit_that_is_off_stays_off(webui, monkeypatch):
    from lib_instantstyle.errors import InstantStyleError
    from lib_instantstyle.hosts import checkpoint

    def none(*_):
        raise InstantStyleError("no checkpoint is there")

    monkeypatch.setattr(checkpoint, "chosen_layers", none)
    first, second, _ = states(webui)
    assert first.kind == "conflict" and first.text == "No checkpoint is there"
    assert second.kind == "off" and second.text.startswith("This unit is off. No checkpoint")


def test_the_palette_alone_can_be_measured(webui):
    fields = {"weight": 0, "palette": 0.5, "leak_meter": True}
    assert state(webui, **fields).kind == "ready"
    assert "leak" in webui.txt2img(**style({**UNIT, **fields})).infotexts[0]


def test_a_method_that_changes_a_picture_belongs_to_img2img(webui):
    found = state(webui, method="styleid")
    assert found.kind == "conflict" and "use it in img2img" in found.text
    assert (found.title, found.request) == ("Send to img2img", {"do": "img2img"})
    assert state(webui, tab="img2img", method="styleid").kind == "ready"
    published = {"tab": "img2img", "method": "styleid", "schedule": "published"}
    assert "50 calls of the UNet on the way up" in state(webui, **published).text
    said = json.loads(facts("img2img"))
    said["numbers"] = {"steps": 20, "denoising_strength": 0.5}
    found = state(webui, json.dumps(said), **published)
    assert found.kind == "conflict" and "set Denoising strength to 1" in found.text
    assert found.request == {"do": "set", "unit": 1, "values": {"schedule": "sampler"}}


def test_two_units_that_exclude_each_other(webui):
    two = json.dumps({"units": [{"image": [HERE]}, {"image": [HERE]}]})
    fields = {"method": "swap", "method_2": "stylealigned", "enabled_2": True}
    first, second, _ = states(webui, two, **fields)
    assert first.kind == "conflict" and "one such unit is allowed" in first.text
    assert second.kind == "ready"
    assert states(webui, two, **{**fields, "enabled_2": False})[0].kind == "ready"
    # A unit between them that is off does not change their numbers.
    apart = json.dumps({"units": [{"image": [HERE]}, {}, {"image": [HERE]}]})
    fields = {"method": "swap", "method_3": "stylealigned", "enabled_3": True}
    first, second, third = states(webui, apart, **fields)
    assert "nit 3 works on self-attention too" in first.text
    assert (second.kind, third.kind) == ("off", "ready")
    assert states(webui, facts(), enabled_3=True)[2].kind == "empty"


def test_the_block_map_stays_beside_a_value_that_fits_nothing(webui):
    for fields in ({"blocks": "no_block=1"}, {"weight": 99}, {"adapter": "missing"}):
        assert len(state(webui, **fields).map["blocks"]) == 11


# -- changes ---------------------------------------------------------------------------------------


def act(webui, request, said=None, tab="txt2img", **fields):
    """The message as text, the request of its undo, and the values that change, by field."""
    own = f"script_{tab}_instantstyle_"
    values = {f"{own}unit_1_{name}": value for name, value in fields.items()}
    given = {f"{own}request": json.dumps(request), f"{own}facts": said or facts(tab)}
    message, *updates = webui.press(f"{own}act", **values, **given)
    undo = re.search(r'data-request="([^"]*)"', message)
    text = html.unescape(re.sub("<button.*?</button>|<[^>]*>", "", message))
    changed = {
        name: update["value"]
        for name, update in zip(TABLE.page_fields, updates)
        if isinstance(update, dict) and "value" in update
    }
    return text, json.loads(html.unescape(undo[1])) if undo else None, changed


def test_a_change_says_what_it_did_and_can_be_undone(webui):
    request = {"do": "set", "unit": 1, "values": {"preset": "layout", "weight": 0.5}}
    text, undo, changed = act(webui, request)
    assert text == "Unit 1: “Preset” style → layout; “Style weight” 1 → 0.5."
    assert changed == {"preset": "layout", "weight": 0.5}
    text, nothing, back = act(webui, undo, preset="layout", weight=0.5)
    assert text == "Unit 1: Undone." and nothing is None
    assert back == {"preset": "style", "weight": 1}


def test_an_undo_writes_back_what_stood_there(webui):
    """Also what no unit could have, and what says nothing beside other fields."""
    clear = {"do": "set", "unit": 1, "values": {"blocks": "", "end": 1}}
    odd = {"blocks": "6=abc(", "end": 9}
    _, undo, changed = act(webui, clear, **odd)
    assert changed == {"blocks": "", "end": 1.0}
    assert act(webui, undo)[2] == odd
    fields = {"preset": "style+layout", "weight": 0.5, "layout_weight": 0.5}
    request = {"do": "set", "unit": 1, "values": {"layout_weight": 0.8}}
    text, undo, _ = act(webui, request, **fields)
    assert text == "Unit 1: “Layout weight” 0.5 → 0.8."
    assert act(webui, undo, **{**fields, "layout_weight": 0.8})[2] == {"layout_weight": 0.5}


@pytest.mark.parametrize("value", [None, "", "x", True, {}])
@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_a_value_that_is_none_ends_in_a_sentence(webui, complaint, value):
    act(webui, {"do": complaint, "unit": 1}, weight=value)
    act(webui, {"do": complaint, "unit": 1}, method=value)


def test_advice_never_goes_the_other_way(webui):
    text, _, changed = act(webui, {"do": CONTENT, "unit": 1}, auto_content=5)
    assert changed == {"negative_content": True}, text
    given = {"auto_content": 5, "negative_content": True}
    text, _, changed = act(webui, {"do": CONTENT, "unit": 1}, **given)
    assert changed == {"content_scale": 0.75}, text
    # Noise takes the same place, so that the step is left out.
    text, _, changed = act(webui, {"do": CONTENT, "unit": 1}, auto_content=5, noise="fade")
    assert changed == {"content_scale": 0.75}, text
    _, _, changed = act(webui, {"do": WEAK, "unit": 1}, weight=-1)
    assert "weight" not in changed or changed["weight"] > 0


def test_all_settings_of_a_saved_style_are_loaded(webui):
    from lib_instantstyle.run.style_saving import save_style
    from lib_instantstyle.styles.library import library

    save_style(TABLE.parse_unit({**UNIT, "preset": "layout", "end": 0.9}), "ink")
    try:
        now = {"style": "ink", "weight": 0.3, "preset": "style precise", "boost": 2, "end": 0.9}
        changed = act(webui, {"do": "style", "unit": 1}, facts(image=[]), **now)[2]
        assert changed["preset"] == "layout" and changed["weight"] == 1
        assert "end" not in changed and "style" not in changed and "enabled" not in changed
        after = state(webui, facts(image=[]), **{**now, **changed})
        assert after.kind == "ready"
    finally:
        library(TABLE).delete("ink")


@pytest.mark.parametrize(
    "request_",
    [None, [], {}, {"unit": 9}, {"unit": "1"}, {"unit": 1, "do": "set"}, {"unit": 1, "do": "x"}],
)
def test_a_request_that_says_nothing_changes_nothing(webui, request_):
    assert act(webui, request_)[1:] == (None, {})


def test_a_value_that_is_not_allowed_is_refused(webui):
    text, _, changed = act(webui, {"do": "set", "unit": 1, "values": {"weight": 99}})
    assert text == "Weight is 99; a number from -2 to 5 is allowed." and changed == {}


def follow(webui, complaint, limit=20, **fields):
    """Press the button until nothing is left; returns all the changes, and the last sentence."""
    steps = []
    for _ in range(limit):
        text, undo, changed = act(webui, {"do": complaint, "unit": 1}, **fields)
        if not changed:
            assert undo is None
            return steps, text.removeprefix("Unit 1: ")
        fields = {**fields, **changed}
        steps.append(changed)
        assert state(webui, **fields).kind == "ready"
    raise AssertionError(f"no end: {steps}")


def test_what_each_complaint_changes(webui):
    steps, last = follow(webui, WEAK)
    assert steps[:2] == [{"weight": 1.25}, {"weight": 1.5}]
    assert steps[2] == {"preset": "strong style", "weight": 0.8} and steps[-1] == {"weight": 1.5}
    assert last == LAST[WEAK]
    steps, _ = follow(webui, CONTENT, preset="original")
    assert steps[0] == {"preset": "style"} and steps[1] == {"auto_content": 3}
    steps, _ = follow(webui, CONTENT, blocks="6=1;3=1")
    assert steps[0] == {"blocks": ""}
    steps, _ = follow(webui, STRONG)
    assert steps[0] == {"weight": 0.75}
    steps, _ = follow(webui, BURNT)
    assert {"end": 0.8} in steps and {"embeds_scaling": "K+mean(V) w/ C penalty"} in steps


def test_a_step_that_the_adapter_cannot_take_is_left_out(webui):
    steps, _ = follow(webui, CONTENT, adapter="ip-adapter-plus_sdxl_vit-h", preset="original")
    assert steps[0] == {"preset": "style"}
    assert not any("auto_content" in changed for changed in steps)


def test_nothing_changed_says_why_or_has_it_measured(webui):
    ask = {"do": NOTHING, "unit": 1}
    assert act(webui, ask, facts(image=[]))[0].startswith("Unit 1: No reference yet")
    assert act(webui, ask, weight=0)[0].startswith("Unit 1: It changes nothing, because its weight")
    text, _, changed = act(webui, ask)
    assert "its effect will be measured" in text and changed == {"report": True}
    assert act(webui, ask, report=True)[0] == f"Unit 1: {LAST[NOTHING]}"


@pytest.mark.parametrize("method", [*TABLE.methods])
def test_the_advice_of_each_method_is_about_its_own_fields(webui, method):
    """Steps end, and none is about a field that does nothing for the method."""
    from lib_instantstyle.units.shared_fields import EVERY_METHOD

    advice = TABLE.methods[method].advice
    assert advice.keys() == {*COMPLAINTS} - {NOTHING}
    matters = TABLE.matters(method) | EVERY_METHOD
    for complaint, steps in advice.items():
        values = {name: TABLE.fields[name].default for name in TABLE.page_fields}
        values |= {"blocks": "", "method": method}
        for step in steps:
            for _ in range(40):
                changed = step.changes(values)
                assert changed.keys() <= matters, (complaint, changed)
                TABLE.parse_unit({**changed, "method": method})
                values |= changed
                if not changed:
                    break
            else:
                raise AssertionError(f"{complaint}: {step} has no end")


def test_a_reference_of_the_page_is_still_what_is_made(webui):
    """The states ask the checks with stand-ins; a generation has the real pictures."""
    assert state(webui, facts(image=[HERE, HERE])).kind == "ready"
    unit = {"image": [UNIT["image"], picture("deep_field.jpg")]}
    assert webui.txt2img(**style(unit)).status == 200
