"""What is told of a LoRA by names and shapes: other kinds, other models, damaged ones; names."""

import json
from pathlib import Path

import pytest

from lib_instantstyle.files.json_text import UnreadableJson
from lib_instantstyle.files.tensor_info import TensorInfo
from lib_instantstyle.methods.b_lora.layers import lora_halves, scale_in_metadata
from lib_instantstyle.models.lora_files import find_lora, lora_files

LAYER = "lora_unet_output_blocks_1_1_transformer_blocks_0_attn1_to_q"
TO_K = "unet.up_blocks.0.attentions.1.transformer_blocks.2.attn2.to_k"


def infos(shapes):
    return {name: TensorInfo("F16", shape, 0) for name, shape in shapes.items()}


def test_a_layer():
    (layer,) = lora_halves(
        infos({f"{TO_K}.lora.down.weight": (64, 2048), f"{TO_K}.lora.up.weight": (1280, 64)})
    )["style"]
    assert layer.path == "transformer_blocks.2.attn2.to_k"
    assert (layer.rank, layer.shape, layer.alpha) == (64, (1280, 2048), None)


def test_matrices_written_as_convolutions():
    shapes = {f"{LAYER}.lora_down.weight": (4, 1280, 1, 1), f"{LAYER}.alpha": ()}
    shapes[f"{LAYER}.lora_up.weight"] = (1280, 4, 1, 1)
    found = lora_halves(infos(shapes))
    assert found["content"] == ()
    assert found["style"][0].shape == (1280, 1280)
    assert found["style"][0].alpha == f"{LAYER}.alpha"


@pytest.mark.parametrize(
    ("shapes", "sentence"),
    [
        ({f"{LAYER}.hada_w1_a": (1280, 4)}, "is a LoHa, not a plain LoRA"),
        ({f"{LAYER}.lokr_w1": (8, 8)}, "is a LoKr, not a plain LoRA"),
        ({f"{LAYER}.dora_scale": (1280, 1)}, "is a DoRA, not a plain LoRA"),
        ({f"{TO_K}.lora_magnitude_vector.weight": (1280,)}, "is a DoRA, not a plain LoRA"),
        ({f"{LAYER}.lora_mid.weight": (4, 4, 1, 1)}, "is a CP-decomposed LoCon"),
        ({f"{LAYER}.oft_blocks": (4, 4, 4)}, "is an OFT, not a plain LoRA"),
        ({f"{LAYER}.diff": (1280, 1280)}, "is a full difference, not a plain LoRA"),
        ({f"{LAYER}.novel": (1280, 1280)}, "is a network with 'novel', not a plain LoRA"),
        ({f"{LAYER}.lora_down.weight": (4, 1280)}, "lacks the factor 'up' of transformer_blocks.0"),
        ({f"{LAYER}.alpha": ()}, "lacks the factor 'down'"),
        (
            {f"{LAYER}.lora_down.weight": (4, 1280), f"{LAYER}.lora_up.weight": (1280, 8)},
            r"has factors of shapes \(4, 1280\) and \(1280, 8\) for transformer_blocks.0.attn1",
        ),
        (
            {f"{LAYER}.lora_down.weight": (4, 1280, 3, 3), f"{LAYER}.lora_up.weight": (1280, 4)},
            "which do not match",
        ),
        (
            {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (4, 320, 1, 1)},
            "is a LoRA for SD1.5 or SD2; one for SDXL is needed",
        ),
        (
            {"lora_unet_up_blocks_1_attentions_0_proj_in.lora_down.weight": (4, 640)},
            "holds no LoRA layer of SDXL's up_blocks.0.attentions.1 and up_blocks.0.attentions.0",
        ),
        (
            {"transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight": (4, 3072)},
            "holds no",
        ),
        ({}, "holds no LoRA layer"),
    ],
)
def test_what_cannot_serve_is_refused(shapes, sentence):
    with pytest.raises(ValueError, match=sentence):
        lora_halves(infos(shapes))


def test_other_kinds_elsewhere_do_not_matter():
    shapes = {f"{LAYER}.lora_down.weight": (4, 1280), f"{LAYER}.lora_up.weight": (1280, 4)}
    shapes["lora_unet_input_blocks_4_0_in_layers_2.lora_mid.weight"] = (4, 4, 3, 3)
    assert len(lora_halves(infos(shapes))["style"]) == 1


@pytest.mark.parametrize("text", ["[" * 100_000, '{"unet.lora_alpha": 1' + "0" * 400 + "}"])
def test_metadata_beyond_the_budgets_is_refused(text):
    with pytest.raises(UnreadableJson):
        scale_in_metadata({"lora_adapter_metadata": text}, "a.to_q", 4)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"unet.lora_alpha": "8"}'])
def test_metadata_that_says_nothing(text):
    assert scale_in_metadata({"lora_adapter_metadata": text}, "a.to_q", 4) == 1.0


def test_metadata_of_the_text_encoder_is_not_the_unets():
    text = json.dumps({"text_encoder.lora_alpha": 8, "unet.lora_alpha": 2})
    assert scale_in_metadata({"lora_adapter_metadata": text}, "a.to_q", 4) == 0.5


# -- names ---------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path):
    for name in ("ink.safetensors", "new/oil.safetensors", "old/oil.pt", "old/wood.safetensors"):
        path = tmp_path / "Lora" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never opened")
    (tmp_path / "Lora" / "readme.txt").write_text("no model")
    (tmp_path / "secret.safetensors").write_bytes(b"outside")
    return lora_files([tmp_path / "Lora", tmp_path / "missing", tmp_path / "Lora"])


def test_files_are_listed_by_their_path(files):
    assert [*files] == ["ink", "new/oil", "old/oil", "old/wood"]


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("ink", "ink"),
        ("ink.safetensors", "ink"),
        ("old/wood", "old/wood"),
        ("wood", "old/wood"),
        ("wood.safetensors", "old/wood"),
        ("old/oil.pt", "old/oil"),
    ],
)
def test_a_name_is_found_with_or_without_folder_and_ending(files, name, listed):
    assert find_lora(name, files) == listed


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", r"lora is empty; choose a LoRA file \(ink, new/oil, old/oil, old/wood\)"),
        ("oil", "lora 'oil' may be new/oil or old/oil; say which"),
        ("../secret", "is not among the files found"),
        ("../secret.safetensors", "is not among the files found"),
        ("/etc/passwd", "is not among the files found"),
        ("old", "is not among the files found"),
    ],
)
def test_other_names_are_refused(files, name, sentence):
    with pytest.raises(ValueError, match=sentence):
        find_lora(name, files)


def test_of_many_files_a_few_are_named():
    with pytest.raises(ValueError, match=r"\(0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 990 more\)"):
        find_lora("x", {str(i): Path(f"{i}.safetensors") for i in range(1000)})
