"""The benchmark runs, at sizes that cost nothing; its peers compute the same as we do."""

import json
from unittest import mock

import pytest
import torch

from lib_instantstyle.clip.image_encoder import load_image_encoder
from lib_instantstyle.layout import SDXL
from lib_instantstyle.references import vectors
from lib_instantstyle.stages import STAGES
from tests.bench import __main__ as bench
from tests.bench import files, gpu, off, stages, unet_calls
from tests.bench.networks import StyleBlock
from tests.miniature.networks.unet import SD15_TINY
from tests.unit import stock
from tests.unit.image_encoders import ENCODERS, hugging_face_encoder


@pytest.fixture(scope="module")
def block():
    return unet_calls.style_block(1, side=2, width=128, context=64)


@pytest.fixture(scope="module")
def whole():
    """A whole UNet, by which part of it is styled."""
    style, everything = unet_calls.whole_unet(SD15_TINY, torch.float32, 1, 8)
    return {"style": style, "all blocks": everything}


@pytest.fixture(params=["block", "style", "all blocks"])
def measured(request, block, whole):
    return block if request.param == "block" else whole[request.param]


def test_the_peers_compute_what_we_compute(measured):
    assert measured.distances["projecting in each call"] < 1e-4
    assert measured.distances["diffusers"] < 1e-4
    assert measured.distances["plain"] > 1e-2


def test_only_our_cases_spend_time_in_our_hooks(measured):
    ours = {name for name, each in measured.times.items() if any(each.hooks)}
    assert ours == {name for name in measured.times if name.startswith("ours")}
    assert all(0 < measured.times[name].share < 1 for name in ours)


def test_we_add_less_than_any_peer(measured):
    """Counted, so that no other work on the machine can make it pass or fail."""
    added = {row["case"]: row for row in measured.added}
    for peer in ("diffusers", "projecting in each call"):
        for what in ("kernels", "floating-point operations", "bytes written"):
            assert 0 < added["ours"][what] < added[peer][what], (peer, what)


def test_a_layer_costs_an_attention_and_a_sum(block, whole):
    found = (block, whole["style"], whole["all blocks"])
    ours = [row["kernels"] for each in found for row in each.added if row["case"] == "ours"]
    assert ours == [2 * 10, 2 * 3, 2 * 16]


def test_operations_can_be_counted_without_weights(whole):
    """The same numbers as where the network runs."""
    style, everything = unet_calls.operations_added(SD15_TINY, 8)
    for row, measured in ((style, whole["style"]), (everything, whole["all blocks"])):
        for each in measured.added:
            assert row[each["case"]] == each["floating-point operations"]
        assert row["plain"] > row["diffusers"]


def test_opening_reads_what_is_needed(tmp_path):
    shapes = {f"image_proj.{k}": s for k, s in stock.linear(2048, 1280).items()}
    narrow = dict.fromkeys(stock.attention(SDXL), (4, 2048))
    found = files.opening(tmp_path, shapes | narrow, [69, 71])
    projection = 2 * sum(torch.Size(shape).numel() for shape in shapes.values())
    assert found["style"]["bytes"] == projection + 2 * 2 * 2 * 4 * 2048
    assert found["all"]["bytes"] == projection + 2 * len(narrow) * 4 * 2048


def test_a_known_reference_needs_no_encoder(tmp_path):
    """Its times are for the table; that the encoder was built once is what can be held."""
    hugging_face_encoder("H").save_pretrained(tmp_path)
    with mock.patch.object(vectors, "load_image_encoder", wraps=load_image_encoder) as build:
        found = files.reference(tmp_path, bench.COFFEE)
    assert list(found) == ["new", "known", "known from disk"]
    assert build.call_count == 1


def test_the_stages_of_a_known_reference_read_no_model(tmp_path):
    """Which stages there are in each request; their times are for the table."""
    hugging_face_encoder("H").save_pretrained(tmp_path)
    unet = StyleBlock(width=128, context=64)
    projection = stock.linear(64, ENCODERS["H"][3])
    shapes = {f"image_proj.{name}": shape for name, shape in projection.items()}
    numbers, ends = unet.layers().by_number, ("to_k_ip", "to_v_ip")
    shapes |= {f"ip_adapter.{n}.{end}.weight": (128, 64) for n in numbers for end in ends}
    files.write_random(tmp_path / "adapter.safetensors", shapes)
    rows = {row.pop("seconds"): row for row in stages.measure(tmp_path, unet)}
    entered = {case: {name for name in rows if rows[name][case]} for case in rows["all stages"]}
    everything = {*(stage.name for stage in STAGES), "all stages"}
    models = {"image encoder loaded", "image encoder run", "adapter file read", "tokens",
              "keys and values"}  # fmt: skip
    assert entered == {
        "cold": everything,
        "known reference": everything - models,
        "new reference": everything,
        "four units, two new crops": everything,
        "four known units": everything - models,
    }


def test_off_costs_next_to_nothing():
    found = off.costs()
    assert found["imports torch"] is False
    assert found["seconds per generation"] < 0.001


def test_the_report_is_written(tmp_path, block):
    bench.write(dict(bench.compared("block", block)), tmp_path)
    assert "| ours | " in (tmp_path / "bench.md").read_text()
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["block"][0]["case"] == "plain" and report["block"][0]["over plain"] == 0


def test_without_a_gpu_the_report_says_so():
    if not torch.cuda.is_available():
        assert gpu.measure() == "not measured: no CUDA device"
