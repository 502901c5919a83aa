"""What WebUIs do to an extension that does not expect it, and what becomes of a style then."""

from __future__ import annotations

import json
from collections import OrderedDict
from pathlib import Path

import pytest
from PIL import Image

from tests.host.generations import PICTURES, UNIT, style
from tests.host.miniature.pressing import press_generate
from tests.host.watching import watch_hooks

HOOKS = 1 + 2 * 10  # on the UNet and on the ten layers of tiny SDXL's style block


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"


def test_ui_is_built_again_and_again_without_mixing_the_tabs(session):
    """Page and API each build it: three calls, of which two tabs are shown."""
    session.reload_ui()
    ids = [getattr(x, "elem_id", None) for x in session.demo.blocks.values()]
    ours = [x for x in ids if x and x.startswith("script_") and "instantstyle" in x]
    assert len(ours) == len(set(ours))
    assert {x.split("_")[1] for x in ours} == {"txt2img", "img2img"}
    assert len(ours) % 2 == 0


def test_defaults_are_saved_by_label_and_the_reference_is_not(session):
    """ui-config.json keys a component by its label: two of one label would share a default."""
    config = Path(session.shared.cmd_opts.ui_config_file)
    config.unlink()  # it keeps what a page with more units had
    session.reload_ui()
    saved = json.loads(config.read_text(encoding="utf8"))
    ours = [key for key in saved if key.startswith("customscript/instantstyle.py/txt2img/")]
    script = session.script("InstantStyle")
    labels = [x.label for x in script.controls if x.label]
    assert len(labels) == len(set(labels)) == script.args_to - script.args_from
    values = {key.split("/")[3] for key in ours if key.endswith("/value")}
    assert values and values <= set(labels)
    assert "Reference picture" not in values


def test_defaults_saved_on_the_page_come_back_and_reach_the_picture(session):
    """What "Apply" under Defaults writes is what the page starts with after a reload."""
    session.use("tiny_sdxl.")
    config = Path(session.shared.cmd_opts.ui_config_file)
    kept = config.read_text(encoding="utf8")
    prefix = "script_txt2img_instantstyle_unit_"
    mine = {  # one of each kind of control, and one of the second unit
        f"{prefix}1_weight": 0.6,
        f"{prefix}1_preset": "style+layout",
        f"{prefix}1_blocks": "3:0.5",
        f"{prefix}1_report": True,
        f"{prefix}2_weight": 0.3,
    }
    try:
        session.press("ui_defaults_apply", **mine)
        session.reload_ui()
        starts = {getattr(x, "elem_id", None): x for x in session.demo.blocks.values()}
        assert {name: starts[name].value for name in mine} == mine
        picture = UNIT["image"] if isinstance(UNIT["image"], str) else UNIT["image"][0]
        switched = {
            "script_txt2img_instantstyle_enabled-checkbox": True,
            f"{prefix}1_image": picture,
        }
        infotext = press_generate(session, **switched)[2]
        assert "blocks: 3=0.5, weight: 0.6, report: true" in infotext
    finally:
        config.write_text(kept, encoding="utf8")
        session.reload_ui()


def test_units_beyond_the_last_are_refused_and_not_dropped(webui):
    """Arguments beyond a script's own are dropped without a word; in one object we see them all."""
    units = [{**UNIT, "weight": 0.1} for _ in range(11)]
    answer = webui.txt2img(**style({"units": units}), expect=422)
    assert "args has 11 units; up to 10 are allowed" in answer.body["detail"]
    assert "InstantStyle 10: " in webui.txt2img(**style({"units": units[:10]})).infotexts[0]


@pytest.mark.parametrize("error", [ImportError, RuntimeError])
def test_a_failure_in_process_is_no_picture(webui, monkeypatch, error):
    """The WebUI prints what a hook raises and would go on without a style."""
    from lib_instantstyle.run import run

    def broken(*args):
        raise error("on purpose")

    plain = webui.txt2img().png
    monkeypatch.setattr(run, "start", broken)
    answer = webui.txt2img(**style(UNIT), expect=422)
    assert f"preparing failed with {error.__name__}: on purpose" in answer.body["detail"]
    assert webui.txt2img().png == plain


def test_a_sampling_that_is_announced_twice_is_hooked_once(webui, monkeypatch):
    """Forge announces the second pass of hires fix twice, with the same sampler."""
    from modules.script_runner import ScriptRunner

    once = webui.txt2img(**style(UNIT)).png
    announce = ScriptRunner.process_before_every_sampling

    def twice(self, p, **kwargs):
        announce(self, p, **kwargs)
        announce(self, p, **kwargs)

    monkeypatch.setattr(ScriptRunner, "process_before_every_sampling", twice)
    seen = watch_hooks(monkeypatch)
    assert webui.txt2img(**style(UNIT)).png == once
    assert set(seen) == {HOOKS}


def source_of_batch(webui):
    """The input without a name that says where the batch tab takes its files from."""
    _, pressed = webui.dependency("img2img_generate")
    values = [getattr(webui.demo.blocks[i], "value", None) for i in pressed["inputs"]]
    return f"_{values.index('upload')}"


def test_a_batch_folder_styles_every_picture_with_one_p(webui, tmp_path, monkeypatch):
    """img2img's batch tab runs one `p`, and one sampler, over all files of a folder."""
    picture = Image.open(PICTURES / "deep_field.jpg").resize((64, 64))
    for i in range(3):
        picture.rotate(90 * i).save(tmp_path / f"{i}.png")
    seen = watch_hooks(monkeypatch)
    webui.press(
        "img2img_generate", _0="task(1)", _1=5, **{source_of_batch(webui): "from dir"},
        img2img_prompt="a cat", img2img_neg_prompt="",
        img2img_batch_input_dir=str(tmp_path), img2img_batch_output_dir=str(tmp_path / "out"),
        img2img_steps=2, img2img_width=64, img2img_height=64,
        **{"script_img2img_instantstyle_enabled-checkbox": True,
           "script_img2img_instantstyle_unit_1_image": UNIT["image"]},
    )  # fmt: skip
    made = sorted((tmp_path / "out").iterdir())
    assert len(made) == 3
    assert set(seen) == {HOOKS} and len(seen) >= 3
    texts = [Image.open(file).info.get("parameters", "") for file in made]
    assert all(text.count("InstantStyle 1") == 1 for text in texts)


XYZ = "X/Y/Z plot"


def plot_over_seeds(webui, seeds):
    labels = [x.label for x in webui.script(XYZ).current_axis_options]
    nothing = [labels.index("Nothing"), "", []]
    axes = [labels.index("Seed"), seeds, [], *nothing, *nothing]
    flags = [False, True, True, False, False, False, False, 0, True]
    return {"script_name": XYZ, "script_args": [*axes, *flags]}


def test_an_error_in_one_cell_of_a_plot_leaves_the_others_styled(webui, monkeypatch):
    """The plot swallows the error, and its cells share one dictionary of parameters."""
    from tests.miniature.networks import UNetModel

    alone = webui.txt2img(seed=3, **style(UNIT)).pixels[0]
    forward = UNetModel.forward
    calls = []

    def fail_in_the_second_cell(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("on purpose")
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(UNetModel, "forward", fail_in_the_second_cell)
    answer = webui.txt2img(**plot_over_seeds(webui, "1, 2, 3"), **style(UNIT))
    assert any("generating image for xyz plot" in report for report in webui.reports)
    assert alone in answer.pixels
    assert answer.infotexts[-1].count("InstantStyle 1: ") == 1


def test_nothing_of_the_plan_keeps_a_graph_alive(webui, monkeypatch):
    """`process` runs with gradients on; a plan that needs them would hold the encoder's memory."""
    from lib_instantstyle.references import vectors
    from lib_instantstyle.run import sampling_pass

    plans = []
    attach = sampling_pass.Injection.__init__

    def spy(self, plan, *args, **kwargs):
        plans.append(plan)
        attach(self, plan, *args, **kwargs)

    monkeypatch.setattr(sampling_pass.Injection, "__init__", spy)
    monkeypatch.setattr(vectors.cache(), "tensors", OrderedDict())
    webui.txt2img(**style(UNIT))
    assert plans and tensors_of(plans[0])
    assert not [t for t in tensors_of(plans[0]) if t.requires_grad]


def tensors_of(value):
    import torch

    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        value = [getattr(value, name) for name in value.__dataclass_fields__]
    if isinstance(value, (list, tuple)):
        return [t for item in value for t in tensors_of(item)]
    return []


def test_a_failure_in_the_denoisers_callback_is_no_unstyled_picture(webui, monkeypatch):
    """The WebUI swallows what a callback raises; the rows of that step are then unknown."""
    from lib_instantstyle.run.sampling_pass import SamplingPass

    plain = webui.txt2img().png

    def broken(self, params):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(SamplingPass, "begin_step", broken)
    assert webui.txt2img(**style(UNIT), expect=422).body["detail"]
    assert webui.txt2img().png == plain


def test_an_interrupt_before_the_style_begins_is_no_error(webui, monkeypatch):
    """No layer was reached, but the user wanted no more of it."""
    from tests.miniature.networks import UNetModel

    forward = UNetModel.forward

    def interrupt(self, *args, **kwargs):
        webui.shared.state.interrupt()
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(UNetModel, "forward", interrupt)
    assert webui.txt2img(steps=6, **style({**UNIT, "start": 0.5})).images
