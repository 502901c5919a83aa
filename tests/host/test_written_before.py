"""Requests, infotext, styles and defaults that version 0.1.0 wrote give what they gave then.

`written_before/kept` holds them and says nothing of our rooms; `written_before/compared.py` says
what counts as the same: nothing is gone or different, something may have come since.
"""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from lib_instantstyle.methods import TABLE
from tests.host.generations import ROOT
from tests.host.watching import hooks_on
from tests.host.written_before import seen
from tests.host.written_before.compared import LEVELS, changed_text, distance, lost
from tests.miniature import harness
from tests.miniature.harness import Answer

REQUESTS = seen.request_names()
REFUSED = seen.read("refused.json")
MEASURED = 0.02  # of a number that is measured in a picture


@pytest.fixture(scope="module")
def session():
    """With the kept styles and references where a user of 0.1.0 has them."""
    webui = harness.session()
    webui.add_extension(ROOT)
    saved = dict(webui.shared.opts.data)
    for name in ("styles", "references"):
        shutil.rmtree(seen.own_folder() / name, ignore_errors=True)
        shutil.copytree(seen.KEPT / name, seen.own_folder() / name)
    yield webui
    webui.shared.opts.data = saved
    for name in ("styles", "references"):
        shutil.rmtree(seen.own_folder() / name, ignore_errors=True)


@pytest.fixture
def webui(session):
    yield session
    assert hooks_on(session.sd_model) == []


def picture_of(answer):
    """All pictures of an answer side by side, as they are kept."""
    images = [x.convert("RGB") for x in answer.images]
    wide = Image.new("RGB", (sum(x.width for x in images), images[0].height))
    for place, image in enumerate(images):
        wide.paste(image, (sum(x.width for x in images[:place]), 0))
    return wide


def test_the_models_are_those_that_all_of_it_was_made_with(webui):
    """The same bytes in every process; with another recipe of theirs nothing here can hold."""
    assert lost(seen.read("models.json"), seen.models(webui)) == []


def with_what_it_meant(request):
    """The request, with the one default that has changed since: methods that look at the reference
    in self-attention inverted it."""
    for script in request["body"].get("alwayson_scripts", {}).values():
        for unit in script["args"]:
            if isinstance(unit, dict) and unit.get("method") in ("stylealigned", "swap"):
                unit["reference_noise"] = "inversion"
    return request


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_gives_the_picture_it_gave(webui, name):
    request, kept = seen.read(f"requests/{name}.json"), seen.read(f"answers/{name}.json")
    request = with_what_it_meant(request)
    response = seen.send(webui, request)
    assert response.status_code == 200, response.text
    answer = Answer(200, response.json())
    then = Image.open(seen.KEPT / "pictures" / f"{name}.png")
    assert distance(then, picture_of(answer)) < LEVELS
    assert len(answer.infotexts) == len(kept["infotexts"])
    for before, now in zip(kept["infotexts"], answer.infotexts):
        assert changed_text(before, now) == []
    report = seen.KEPT / "reports" / f"{name}.json"
    if report.exists():
        now = webui.post("/instantstyle/report", {}).json()
        assert lost(seen.read(f"reports/{name}.json"), now, may_grow=False, near=MEASURED) == []


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_planned_as_it_was(webui, name):
    plan = seen.plan(webui, with_what_it_meant(seen.read(f"requests/{name}.json")))
    assert lost(seen.read(f"answers/{name}.json")["plan"], plan, may_grow=False) == []


@pytest.mark.parametrize("name", REQUESTS)
def test_infotext_is_pasted_as_it_was(webui, name):
    kept = seen.read(f"answers/{name}.json")
    starts = seen.starting(seen.read("page.json"))
    now = [seen.pasted(kept["infotexts"][0], tab) for tab in seen.TABS]
    assert now[0] == now[1]
    values = {x: value for x, value in now[0].items() if x in starts}
    assert set(starts) & set(seen.read("positions.json")) <= set(values)
    assert seen.told_apart(values, starts) == kept["pasted"]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_the_sentence_it_was(webui, name):
    kept = REFUSED[name]
    response = seen.send(webui, kept["request"])
    assert response.status_code == 422
    assert lost(kept["answer"], response.json()) == []
    plan = seen.plan(webui, kept["request"])
    assert lost(kept["plan"], plan, may_grow=False) == []


@pytest.mark.parametrize("route", seen.ROUTES)
def test_a_route_answers_as_it_did(webui, route):
    now = seen.answer(webui, route)
    kept = seen.read(f"routes/{route}.json")
    if route == "version":
        kept = {**kept, "version": now["version"]}
    assert lost(kept, now) == []


@pytest.mark.parametrize("checkpoint", seen.CHECKPOINTS)
@pytest.mark.parametrize("route", seen.ROUTES_OF_CHECKPOINTS)
def test_a_route_answers_for_the_checkpoint_as_it_did(webui, route, checkpoint):
    now = seen.answer(webui, route, checkpoint)
    assert lost(seen.read(f"routes/{route}-{checkpoint}.json"), now) == []


def test_content_is_answered_as_it_was(webui):
    kept = seen.read("content.json")
    seen.use(webui, "tiny_sdxl")
    now = webui.post("/instantstyle/content", kept["request"]).json()
    assert lost(kept["answer"], now, may_grow=False, near=MEASURED) == []


@pytest.mark.parametrize("name", ["ink", "wash"])
def test_a_style_is_saved_as_it_was(webui, name):
    """A later version may add to the file; its tensors and what it says of itself stay."""
    kept = seen.read(f"saved/{name}.json")
    seen.use(webui, kept["checkpoint"])
    response = webui.post("/instantstyle/embed", {**kept["request"], "name": f"{name} again"})
    path = seen.own_folder() / "styles" / f"{name} again.safetensors"
    try:
        assert response.status_code == 200, response.text
        assert lost({**kept["answer"], "name": f"{name} again"}, response.json()) == []
        assert lost(kept["header"], seen.style_header(path)) == []
    finally:
        path.unlink(missing_ok=True)


def test_the_description_of_our_routes_is_what_it_was(webui):
    assert lost(seen.read("openapi.json"), seen.described(webui)) == []


def test_the_axes_of_plots_are_what_they_were(webui):
    seen.use(webui, "tiny_sdxl")
    assert lost(seen.read("axes.json"), seen.axes(webui)) == []


def test_the_settings_are_what_they_were(webui):
    assert lost(seen.read("settings.json"), seen.settings(webui)) == []


def present(label):
    """The label that a control with this one has today, with the number of its unit."""
    text, _, number = label.partition(" (")
    today = {field.former: field.label for field in TABLE.fields.values() if field.former}
    return today.get(text, text) + (f" ({number}" if number else "")


def _as_box(component):
    """`component`; of what holds a picture box, the id alone."""
    name = component["elem_id"]
    return {"elem_id": name, "label": None} if name.endswith("_drop") else component


@pytest.mark.parametrize("tab", seen.TABS)
def test_the_page_is_what_it_was(webui, tab):
    """Every component, under its id; where it stands on the page is nobody's business."""
    kept, now = seen.read("page.json"), seen.components(webui, tab)
    # What holds a picture box was a column, and is the box's own HTML; neither has a value.
    kept, now = ([_as_box(each) for each in side] for side in (kept, now))
    for each in kept:
        each["label"] = present(each["label"]) if each["label"] else None
    assert lost(sorted(kept, key=str), sorted(now, key=str)) == []


@pytest.mark.parametrize("tab", seen.TABS)
def test_the_values_of_the_page_stand_in_the_order_they_had(webui, tab):
    assert lost(seen.read("positions.json"), seen.positions(webui, tab)) == []


def test_defaults_that_were_changed_then_are_those_of_the_page(session):
    kept, ids = seen.read("ui-config.json"), seen.read("ui-config-ids.json")
    config = seen.config_file(session)
    before = config.read_text(encoding="utf8")
    try:
        config.write_text(json.dumps(kept), encoding="utf8")
        session.reload_ui()
        blocks = session.demo.blocks.values()
        starts = {getattr(x, "elem_id", None): getattr(x, "value", None) for x in blocks}
        assert {name: starts[name] for name in ids} == ids
        config.unlink()
        session.reload_ui()
        written = seen.defaults(session)
        names = (key.split("/") for key in kept)  # customscript/instantstyle.py/TAB/LABEL/OF
        today = ["/".join([*parts[:3], present(parts[3]), *parts[4:]]) for parts in names]
        assert [key for key in today if key not in written] == []  # each is one of the page's own
    finally:
        config.write_text(before, encoding="utf8")
        session.reload_ui()
