"""Encoders against transformers and against open_clip, each in its own layout."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lib_instantstyle.clip.image_encoder import load_image_encoder
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensors import open_tensors
from lib_instantstyle.models.catalog import scan
from tests.unit.adapters import write
from tests.unit.image_encoders import (
    ENCODERS,
    hugging_face_encoder,
    hugging_face_tensors,
    open_clip_reference,
    open_clip_tensors,
    text_half,
)

CPU = torch.device("cpu")
SUFFIXES = [".safetensors", ".bin", ".pth", ".pt"]
pytestmark = pytest.mark.usefixtures("no_grad")


@pytest.fixture
def no_grad():
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def found_in(folder):
    (encoder_file,) = scan([folder]).image_encoders
    return encoder_file


def loaded(folder, hidden_states=False, dtype=torch.float32):
    found = found_in(folder)
    return load_image_encoder(found.path, found.kind, CPU, dtype, hidden_states)


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_hugging_face_encoder_equals_transformers(name, suffix, tmp_path):
    oracle = hugging_face_encoder(name)
    write(tmp_path / f"open_clip ViT-L{suffix}", hugging_face_tensors(oracle))
    pixels = torch.randn(2, 3, 224, 224)
    theirs = oracle(pixels, output_hidden_states=True)
    ours = loaded(tmp_path)(pixels)
    torch.testing.assert_close(ours, theirs.image_embeds, atol=1e-5, rtol=1e-5)
    ours = loaded(tmp_path, hidden_states=True)(pixels)
    torch.testing.assert_close(ours, theirs.hidden_states[-2], atol=1e-5, rtol=1e-5)
    assert ours.shape == (2, 257, ENCODERS[name][0])
    assert theirs.image_embeds.std() > 0.01
    assert (theirs.hidden_states[-2] - theirs.hidden_states[-1]).abs().max() > 0.01


@pytest.mark.parametrize("name", list(ENCODERS))
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_open_clip_encoder_equals_its_layout(name, suffix, tmp_path):
    tensors = open_clip_tensors(name)
    write(tmp_path / f"model{suffix}", tensors)
    pixels = torch.randn(2, 3, 224, 224)
    vector, hidden = open_clip_reference(tensors, pixels, quick=name == "L")
    torch.testing.assert_close(loaded(tmp_path)(pixels), vector, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loaded(tmp_path, True)(pixels), hidden, atol=1e-5, rtol=1e-5)
    assert vector.std() > 0.01 and hidden.std() > 0.01


@pytest.mark.parametrize("name", list(ENCODERS))
def test_one_encoder_in_both_layouts_gives_one_vector(name, tmp_path):
    hugging_face = hugging_face_tensors(hugging_face_encoder(name))
    write(tmp_path / "hf" / "a.safetensors", hugging_face)
    write(tmp_path / "oc" / "a.safetensors", as_open_clip(hugging_face))
    kinds = [found_in(tmp_path / folder).kind for folder in ("hf", "oc")]
    assert kinds[0].layout != kinds[1].layout
    assert vars(kinds[0]) | {"layout": ""} == vars(kinds[1]) | {"layout": ""}
    pixels = torch.randn(1, 3, 224, 224)
    first, second = (loaded(tmp_path / folder)(pixels) for folder in ("hf", "oc"))
    torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)


def as_open_clip(tensors):
    """Hugging Face's tensors under OpenCLIP's names."""
    renamed = {}
    for name, tensor in tensors.items():
        for theirs, ours in (
            (r"^vision_model\.embeddings\.class_embedding", "visual.class_embedding"),
            (r"^vision_model\.embeddings\.patch_embedding", "visual.conv1"),
            (
                r"^vision_model\.embeddings\.position_embedding\.weight",
                "visual.positional_embedding",
            ),
            (r"^vision_model\.pre_layrnorm", "visual.ln_pre"),
            (r"^vision_model\.post_layernorm", "visual.ln_post"),
            (r"^vision_model\.encoder\.layers\.", "visual.transformer.resblocks."),
            (r"\.self_attn\.", ".attn."),
            (r"\.layer_norm(\d)\.", r".ln_\1."),
            (r"\.fc1\.", ".c_fc."),
            (r"\.fc2\.", ".c_proj."),
        ):
            name = re.sub(theirs, ours, name)
        renamed[name] = tensor
    packed = {n for n in renamed if re.search(r"attn\.[qkv]_proj", n)}
    for name in sorted(packed):
        if ".q_proj." in name:
            parts = [renamed[name.replace("q_proj", f"{part}_proj")] for part in "qkv"]
            renamed[name.replace("q_proj.", "in_proj_")] = torch.cat(parts)
    renamed["visual.proj"] = renamed.pop("visual_projection.weight").T.contiguous()
    del renamed["vision_model.embeddings.position_ids"]
    return {name: tensor for name, tensor in renamed.items() if name not in packed}


@pytest.mark.parametrize("layout", ["Hugging Face", "OpenCLIP"])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_what_is_not_needed_is_not_read(layout, suffix, tmp_path):
    """A reading of NaN would be refused, so what holds NaN and is not refused was not read."""
    if layout == "OpenCLIP":
        tensors = open_clip_tensors("H")
        last = "visual.transformer.resblocks.2."
        head = ["visual.proj", "visual.ln_post.weight", "visual.ln_post.bias"]
    else:
        tensors = hugging_face_tensors(hugging_face_encoder("H"))
        last = "vision_model.encoder.layers.2."
        head = ["visual_projection.weight"]
        head += [f"vision_model.post_layernorm.{end}" for end in ("weight", "bias")]
    write(tmp_path / "full" / f"clip{suffix}", {**tensors, **text_half(layout)})
    pixels = torch.randn(1, 3, 224, 224)
    expected = [loaded(tmp_path / "full", hidden)(pixels) for hidden in (False, True)]

    text = {name: torch.full_like(tensor, torch.nan) for name, tensor in text_half(layout).items()}
    write(tmp_path / "text" / f"clip{suffix}", {**tensors, **text})
    assert torch.equal(loaded(tmp_path / "text")(pixels), expected[0])

    for name in tensors:
        if name.startswith(last) or name in head:
            tensors[name] = torch.full_like(tensors[name], torch.nan)
    write(tmp_path / "head" / f"clip{suffix}", {**tensors, **text})
    assert torch.equal(loaded(tmp_path / "head", hidden_states=True)(pixels), expected[1])
    with pytest.raises(InstantStyleError, match="no finite numbers"):
        loaded(tmp_path / "head")


def test_the_parts_of_a_packed_tensor_are_views(tmp_path):
    write(tmp_path / "a.safetensors", open_clip_tensors("H"))
    attention = loaded(tmp_path).blocks[0].attention
    q, k, v = (layer.weight for layer in (attention.q, attention.k, attention.v))
    assert q.untyped_storage().data_ptr() == v.untyped_storage().data_ptr()
    assert k.data_ptr() - q.data_ptr() == q.numel() * 4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("stored", [torch.float16, torch.float32])
def test_half_precision_stays_close(dtype, stored, tmp_path):
    oracle = hugging_face_encoder("H")
    tensors = hugging_face_tensors(oracle)
    write(
        tmp_path / "a.safetensors",
        {n: t.to(stored) if t.is_floating_point() else t for n, t in tensors.items()},
    )
    pixels = torch.randn(1, 3, 224, 224)
    theirs = oracle(pixels, output_hidden_states=True)
    for hidden, expected in ((False, theirs.image_embeds), (True, theirs.hidden_states[-2])):
        encoder = loaded(tmp_path, hidden, dtype)
        ours = encoder(pixels.to(dtype))
        assert ours.dtype == dtype
        error = (ours.float() - expected).norm() / expected.norm()
        assert error < 2e-2


def test_an_encoder_without_projection_serves_hidden_states_only(tmp_path):
    oracle = hugging_face_encoder("H")
    tensors = hugging_face_tensors(oracle)
    del tensors["visual_projection.weight"]
    write(tmp_path / "a.safetensors", tensors)
    pixels = torch.randn(1, 3, 224, 224)
    expected = oracle(pixels, output_hidden_states=True).hidden_states[-2]
    torch.testing.assert_close(loaded(tmp_path, True)(pixels), expected, atol=1e-5, rtol=1e-5)
    with pytest.raises(InstantStyleError, match="has no projection to an image vector"):
        loaded(tmp_path)


def test_a_damaged_encoder_is_refused_with_a_sentence(tmp_path):
    tensors = hugging_face_tensors(hugging_face_encoder("H"))
    tensors["visual_projection.weight"][0, 0] = float("nan")
    write(tmp_path / "t.safetensors", tensors)
    with pytest.raises(InstantStyleError, match=r"visual_projection.weight .* no finite numbers"):
        loaded(tmp_path)
    del tensors["vision_model.pre_layrnorm.bias"]
    write(tmp_path / "u" / "t.safetensors", tensors)
    with pytest.raises(InstantStyleError, match=r"pre_layrnorm\.bias is missing"):
        loaded(tmp_path / "u")
    tensors["vision_model.pre_layrnorm.bias"] = torch.zeros(3)
    write(tmp_path / "v" / "t.safetensors", tensors)
    with pytest.raises(InstantStyleError, match=r"norm_in.bias is of shape \(3,\)"):
        loaded(tmp_path / "v", hidden_states=True)


@pytest.mark.parametrize("layout", ["Hugging Face", "OpenCLIP"])
def test_an_encoder_is_never_used_without_one_of_its_tensors(layout, tmp_path):
    """Each left out alone; the last layer must not go unseen for what it lacks."""
    if layout == "OpenCLIP":
        tensors = open_clip_tensors("H")
    else:
        tensors = hugging_face_tensors(hugging_face_encoder("H"))
    for number, name in enumerate(tensors):
        folder = tmp_path / str(number)
        write(folder / "t.safetensors", {n: t for n, t in tensors.items() if n != name})
        if scan([folder]).image_encoders and name != "vision_model.embeddings.position_ids":
            with pytest.raises(InstantStyleError, match=f"{re.escape(name)}|has no projection"):
                loaded(folder)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
def test_large_numbers_are_not_taken_for_infinity(dtype, suffix, tmp_path):
    """A thousand of the largest numbers there are: no sum can hold them, but each is finite."""
    largest = torch.finfo(dtype).max
    for name, last, accepted in (("a", largest, True), ("b", torch.inf, False),
                                 ("c", -torch.inf, False), ("d", torch.nan, False)):  # fmt: skip
        values = torch.full((1001,), largest, dtype=dtype)
        values[-1] = last
        with open_tensors(write(tmp_path / f"{name}{suffix}", {"x": values})) as read:
            if accepted:
                assert torch.equal(read("x"), values)
            else:
                with pytest.raises(InstantStyleError, match="no finite numbers"):
                    read("x")


PEAK = """
import re, sys, torch
from pathlib import Path
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.files.tensors import open_tensors
from lib_instantstyle.clip.image_encoder import load_image_encoder

def resident(field):
    return int(re.search(field + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

(found,) = scan([Path(sys.argv[1])]).image_encoders
hidden, dtype = sys.argv[2] == "hidden", getattr(torch, sys.argv[3])
Path("/proc/self/clear_refs").write_text("5")
before = resident("VmRSS")
encoder = load_image_encoder(found.path, found.kind, torch.device("cpu"), dtype, hidden)
for parameter in encoder.parameters():
    parameter.max()
weights = sum(p.numel() * p.element_size() for p in encoder.parameters())
print((resident("VmHWM") - before) / weights)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measured through /proc")
@pytest.mark.parametrize(
    ("suffix", "stored", "used", "use"),
    [
        (".safetensors", "float32", "float32", "vector"),
        (".safetensors", "float16", "float32", "hidden"),
        (".safetensors", "float16", "float16", "vector"),
        (".bin", "float16", "float32", "vector"),
        (".bin", "float32", "float32", "hidden"),
    ],
)
def test_peak_memory_is_about_one_copy_of_the_weights_used(suffix, stored, used, use, tmp_path):
    """A ViT-L of eight blocks, 100 million numbers, beside a text half that nobody asked for."""
    width, layers, mlp = 1024, 8, 4096
    tensors = {
        "visual.class_embedding": torch.zeros(width),
        "visual.conv1.weight": torch.zeros(width, 3, 14, 14),
        "visual.positional_embedding": torch.zeros(257, width),
        "visual.proj": torch.zeros(width, 768),
        "transformer.resblocks.0.mlp.c_fc.weight": torch.zeros(20_000, width),
    }
    for name in ("ln_pre", "ln_post"):
        tensors |= {f"visual.{name}.{end}": torch.zeros(width) for end in ("weight", "bias")}
    for i in range(layers):
        prefix = f"visual.transformer.resblocks.{i}."
        shapes = {"ln_1": (width,), "ln_2": (width,), "attn.out_proj": (width, width),
                  "mlp.c_fc": (mlp, width), "mlp.c_proj": (width, mlp)}  # fmt: skip
        for name, shape in shapes.items():
            tensors[f"{prefix}{name}.weight"] = torch.zeros(shape)
            tensors[f"{prefix}{name}.bias"] = torch.zeros(shape[0])
        tensors[f"{prefix}attn.in_proj_weight"] = torch.zeros(3 * width, width)
        tensors[f"{prefix}attn.in_proj_bias"] = torch.zeros(3 * width)
    dtype = getattr(torch, stored)
    write(tmp_path / f"clip{suffix}", {name: t.to(dtype) for name, t in tensors.items()})
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", PEAK, str(tmp_path), use, used]
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    # What is freed goes back to the system: else glibc may keep some 60 MB, by chance of its heap.
    environment["MALLOC_MMAP_THRESHOLD_"] = str(2**17)
    peaks = []
    # Where memory is wanted, the system takes pages of libraries away before the measurement, and
    # they come back in it: that adds at times, a copy of the weights each time.
    while not peaks or (min(peaks) >= 1.1 and len(peaks) < 4):
        run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        peaks.append(float(run.stdout))
    assert 0.9 < min(peaks) < 1.1, peaks


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_while_its_encoder_is_kept_changes_nothing(suffix, tmp_path):
    """As a download over it does; of a mapped file the next look would end the process."""
    path = write(
        tmp_path / f"clip{suffix}", hugging_face_tensors(hugging_face_encoder(next(iter(ENCODERS))))
    )
    kept = loaded(tmp_path)
    pixels = torch.randn(1, 3, 224, 224)
    before = kept(pixels)
    os.truncate(path, 100)
    assert torch.equal(kept(pixels), before)
    path.write_bytes(bytes(1000))
    assert torch.equal(kept(pixels), before)
