"""The axes of the X/Y/Z plot: every cell is the picture that its values make alone."""

from __future__ import annotations

import pytest

from tests.host.generations import PICTURES, ROOT, UNIT, picture, style
from tests.host.plots import GRIDS, XYZ, plot, xyz_args
from tests.miniature.recorder import Recorder

COFFEE, STARS = PICTURES / "coffee.jpg", PICTURES / "deep_field.jpg"
pytestmark = pytest.mark.usefixtures("all_checkpoints_in_memory")


@pytest.mark.parametrize(
    ("label", "values", "changes"),
    [
        ("weight", "0.5, 1, 2", [{"weight": w} for w in (0.5, 1, 2)]),
        ("weight", "0.5-1.5 (+0.5)", [{"weight": w} for w in (0.5, 1, 1.5)]),
        ("start", "0-0.5 [2]", [{"start": 0}, {"start": 0.5}]),
        ("preset", "style, original", [{"preset": "style"}, {"preset": "original"}]),
        ("blocks", "7:1; 8:0.5, *=1", [{"blocks": "7:1; 8:0.5"}, {"blocks": "*=1"}]),
        ("adapter", "auto, ip-adapter_sd15", [{}, {"adapter": "ip-adapter_sd15"}]),
        ("enabled", "True, False", [{}, {"enabled": False}]),
        (
            "any field",
            'weight=0.5, "blocks=7:1; 8:0.5; weight = 2; report=false", combine=colour, '
            "blocks=7:1; preset=layout",
            [
                {"weight": 0.5},
                {"blocks": "7:1; 8:0.5", "weight": 2},
                {"combine": "colour"},
                {"blocks": "7:1", "preset": "layout"},
            ],
        ),
        (
            "each single block",
            "up_blocks.1.attentions.0, 8",
            [{"blocks": "up_blocks.1.attentions.0=1"}, {"blocks": "8=1"}],
        ),
    ],
)
def test_a_cell_is_the_picture_that_its_value_makes_alone(webui, label, values, changes):
    answer = plot(webui, (f"[InstantStyle] {label}", values))
    alone = [webui.txt2img(**style({**UNIT, **change})) for change in changes]
    assert answer.pixels[GRIDS:] == [each.pixels[0] for each in alone]
    assert f"X Type: [InstantStyle] {label}" in answer.infotexts[0]
    for cell, each in zip(answer.infotexts[GRIDS:], alone):
        assert each.infotexts[0].split("InstantStyle 1: ")[1:] == cell.split("InstantStyle 1: ")[1:]


def test_two_axes_and_the_second_unit(webui):
    second = {"image": picture("deep_field.jpg"), "preset": "original"}
    answer = plot(
        webui,
        ("[InstantStyle] weight", "0, 1"),
        ("[InstantStyle 2] weight", "0, 1"),
        UNIT,
        second,
    )
    expected = [
        webui.txt2img(**style({**UNIT, "weight": a}, {**second, "weight": b})).pixels[0]
        for b in (0, 1)
        for a in (0, 1)
    ]
    assert answer.pixels[GRIDS:] == expected
    assert len(set(expected)) == 4
    assert webui.txt2img(**style(UNIT)).pixels[0] == expected[1]  # nothing of the plot is left


def test_all_blocks_of_the_loaded_checkpoint_are_tried_one_by_one(webui):
    answer = plot(webui, ("[InstantStyle] each single block", "all"), steps=1)
    cells = answer.pixels[GRIDS:]
    assert len(cells) == len(set(cells)) == 16
    options = {o.label: o for o in webui.script(XYZ).current_axis_options}
    choices = options["[InstantStyle] each single block"].choices()
    assert len(choices) == 17 and choices[0] == "all"
    # The plot's own button fills in every choice: still each block once.
    filled = plot(webui, ("[InstantStyle] each single block", ", ".join(choices)), steps=1)
    assert filled.pixels == answer.pixels
    webui.use("tiny_sdxl.")
    assert len(options["[InstantStyle] each single block"].choices()) == 12


def test_a_preset_is_not_hidden_by_the_units_own_blocks(webui):
    axis = ("[InstantStyle] preset", "style, original")
    answer = plot(webui, axis, ("Nothing", ""), {**UNIT, "blocks": "3:1"})
    alone = [webui.txt2img(**style({**UNIT, "preset": p})).pixels[0] for p in ("style", "original")]
    assert answer.pixels[GRIDS:] == alone


@pytest.mark.parametrize(
    ("label", "values", "sentence"),
    [
        ("weight", "0.5, 9", "weight is 9.0; a number from -2 to 5 is allowed"),
        ("weight", "0.5, much", "'much' is no number"),
        ("any field", "weight=0.5, gama=1", "'gama=1' names no field"),
        ("any field", "weight", "'weight' names no field"),
        ("any field", "weight=1; palete=2", "'palete=2' names no field"),
        ("any field", "weight=99", "weight is 99"),
        ("any field", "preset=sorcery", "preset is 'sorcery'"),
        ("start", "0-2 (+0.5)", "start is 1.5; a number from 0 to 1 is allowed"),
        ("preset", "style, colour", "preset is 'colour'; one of 'style'"),
        ("blocks", "nonsense=1", "no cross-attention"),
        ("blocks", "5 numbers", "blocks: '5 numbers'"),
        ("adapter", "auto, nobody", "adapter 'nobody' is not among the files found"),
        ("adapter", "ip-adapter_sdxl", "is made for SDXL"),
        ("crop", "round", "crop is 'round'; one of"),
        ("each single block", "all, 16", "16 has no cross-attention in SD1.5"),
    ],
)
def test_a_wrong_value_stops_the_plot_before_it_starts(webui, label, values, sentence):
    with Recorder() as recorder:
        answer = plot(webui, (f"[InstantStyle] {label}", values), expect=422)
    assert sentence in answer.body["detail"]
    assert recorder.calls == []


def test_an_axis_of_a_unit_that_is_off_is_refused(webui):
    answer = plot(webui, ("[InstantStyle 2] weight", "0, 1"), expect=422)
    assert "unit 2 is not on" in answer.body["detail"]
    answer = plot(webui, ("[InstantStyle] weight", "0, 1"), ("Nothing", ""), False, expect=422)
    assert "unit 1 is not on" in answer.body["detail"]


def test_values_that_another_checkpoint_of_the_plot_takes_are_allowed(webui):
    checkpoints = ("Checkpoint name", "tiny_sdxl.safetensors")
    answer = plot(webui, ("[InstantStyle] adapter", "ip-adapter_sdxl"), checkpoints)
    assert "adapter: ip-adapter_sdxl" in answer.infotexts[GRIDS]


def test_no_request_has_a_path_opened(webui, monkeypatch, tmp_path):
    from lib_instantstyle.page import xyz_files

    def never(*args):
        raise AssertionError("a path of a request was looked at")

    for name in ("picture_in_file", "Path"):
        monkeypatch.setattr(xyz_files, name, never)
    for value in (str(COFFEE), str(tmp_path), "/etc/passwd"):
        answer = plot(webui, ("[InstantStyle] reference files", value), expect=422)
        assert "files can be named on the page" in answer.body["detail"]


def by_hand(webui, axis, values):
    """What the page does: the same plot without the mark of the API."""
    from modules import processing, scripts

    runner = scripts.scripts_txt2img
    p = processing.StableDiffusionProcessingTxt2Img(
        sd_model=webui.sd_model, prompt="a cat", width=64, height=64,
        do_not_save_samples=True, do_not_save_grid=True,
        outpath_grids=webui.shared.opts.outdir_txt2img_grids,
    )  # fmt: skip
    ours, plots = webui.script("InstantStyle"), webui.script(XYZ)
    arguments = list(webui.api.default_script_arg_txt2img)
    arguments[0] = runner.selectable_scripts.index(plots) + 1
    arguments[ours.args_from] = UNIT
    arguments[plots.args_from : plots.args_to] = xyz_args(webui, (axis, values))
    p.scripts, p.script_args = runner, tuple(arguments)
    p.seed, p.steps, p.sampler_name, p.scheduler = 1, 2, "Euler", "Automatic"
    return runner.run(p, *p.script_args)


def test_reference_files_are_a_persons_at_the_page(webui, monkeypatch, tmp_path):
    from lib_instantstyle.hosts.refusal import InstantStyle

    axis = "[InstantStyle] reference files"
    expected = [
        webui.txt2img(**style({"image": picture(name)})).pixels[0]
        for name in ("coffee.jpg", "deep_field.jpg")
    ]
    for values in (f"{COFFEE}, {STARS}", str(COFFEE.parent)):
        made = by_hand(webui, axis, values).images[GRIDS:]
        assert [image.convert("RGB").tobytes() for image in made] == expected
    (tmp_path / "text.png").write_text("no picture")
    for values, sentence in (
        (str(tmp_path / "none.png"), "cannot be read"),
        (str(tmp_path), "text.png cannot be read as a picture"),
        ("/dev/zero", "cannot be read"),
        (str(ROOT / "tests" / "unit"), "holds 0 pictures"),
    ):
        with pytest.raises(InstantStyle, match=sentence):
            by_hand(webui, axis, values)
    monkeypatch.setattr(webui.shared.cmd_opts, "disable_extension_access", True)
    with pytest.raises(InstantStyle, match="serves this machine alone"):
        by_hand(webui, axis, str(COFFEE))


def test_axes_are_there_once_after_reloads_and_in_both_tabs(webui):
    webui.reload_ui()
    for tab in ("txt2img", "img2img"):
        labels = [o.label for o in webui.script(XYZ, tab).current_axis_options]
        ours = [label for label in labels if label.startswith("[InstantStyle")]
        assert len(ours) == len(set(ours)) > 30
        assert {"[InstantStyle] weight", "[InstantStyle 3] preset"} <= set(ours)


def test_a_checkpoint_that_is_chosen_but_not_in_memory_is_looked_up_in_its_file(webui, monkeypatch):
    """Forge loads a checkpoint with the next picture only."""
    from modules import sd_models

    from lib_instantstyle.hosts import checkpoint

    live = checkpoint.chosen_layers()
    assert checkpoint.checkpoint_in_memory().sd_model is webui.sd_model
    monkeypatch.setattr(sd_models.model_data, "sd_model", object())
    read = checkpoint.chosen_layers()
    assert checkpoint.checkpoint_in_memory() is None
    assert read.signature == live.signature and read.by_number.keys() == live.by_number.keys()
