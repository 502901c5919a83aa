"""The built-in X/Y/Z plot."""

from __future__ import annotations

from tests.host.plots import XYZ, xyz_args


def test_xyz_makes_a_picture_for_each_cell(webui, probe):
    answer = webui.txt2img(
        script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2"), ("CFG Scale", "3-7 [2]"))
    )
    assert len(answer.images) == 2 + 4
    assert answer.images[0].size == (128, 128)
    assert "Script: X/Y/Z plot, X Type: Seed, X Values:" in answer.infotexts[0]
    alone = webui.txt2img(seed=2, cfg_scale=7)
    assert alone.pixels[0] in answer.pixels
    assert probe.names().count("setup") == 2  # one for the plot, one for the single picture


def test_xyz_cells_share_the_dictionary_of_parameters(webui, probe):
    def process(p, *args):
        p.extra_generation_params.setdefault(f"Probe seed {p.seed}", "was here")

    probe.reset(process=process)
    answer = webui.txt2img(script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2")))
    assert "Probe seed 1" in answer.infotexts[-1]
    assert "Probe seed 2" in answer.infotexts[-1]


def test_xyz_swallows_an_error_in_a_cell(webui, probe):
    def process(p, *args):
        if p.seed == 2:
            p.init = lambda *a: 1 / 0

    probe.reset(process=process)
    answer = webui.txt2img(script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2, 3")))
    assert any("generating image for xyz plot: ZeroDivisionError" in x for x in webui.reports)
    blank = answer.images[3].convert("RGB").getextrema()
    assert blank == ((0, 0),) * 3


def test_xyz_confirm_stops_everything(webui, probe):
    answer = webui.txt2img(
        expect=500, script_name=XYZ, script_args=xyz_args(webui, ("Sampler", "Euler, Nobody"))
    )
    assert answer.body["errors"] == "Unknown sampler: Nobody"
    assert "process" not in probe.names()


def test_xyz_puts_the_slow_axis_outermost(webui, probe):
    y = ("Checkpoint name", "tiny_sd15.safetensors, tiny_sdxl.safetensors")
    webui.txt2img(script_name=XYZ, script_args=xyz_args(webui, ("Seed", "1, 2"), y))
    done = [(x["p"].seed, x["p"].sd_model_name) for x in probe.of("postprocess")]
    assert done == [(1, "tiny_sd15"), (2, "tiny_sd15"), (1, "tiny_sdxl"), (2, "tiny_sdxl")]


def test_xyz_axis_of_an_extension(webui, probe):
    """Only exact AxisOption shows in both tabs; the module is found by its odd name."""
    from modules import scripts

    module = next(
        x.module
        for x in scripts.scripts_data
        if x.script_class.__module__ in ("xyz_grid.py", "scripts.xyz_grid")
    )
    seen = []

    def apply(p, x, xs):
        p.probe_value = x

    probe.reset(process=lambda p, *args: seen.append(p.probe_value))
    options = module.axis_options
    options.append(module.AxisOption("[Probe] value", float, apply, cost=0.1))
    script = webui.script(XYZ)
    kept = script.current_axis_options
    script.current_axis_options = [*kept, options[-1]]
    try:
        webui.txt2img(
            script_name=XYZ, script_args=xyz_args(webui, ("[Probe] value", "0.5-1.5 (+0.5)"))
        )
    finally:
        options.pop()
        script.current_axis_options = kept
    assert seen == [0.5, 1.0, 1.5]
