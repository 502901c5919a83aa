"""Sound model files and styles with a few things changed: read, or refused with a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensor_info import TensorInfo
from lib_instantstyle.models.adapter_kind import adapter_kind
from lib_instantstyle.models.clip_kind import image_encoder_kind, text_encoder_kind
from lib_instantstyle.styles.header import METADATA_KEY, THUMBNAIL, read_info
from lib_instantstyle.styles.header import shapes_of as style_shapes
from tests.fuzz.files import INFO, METADATA, RELATIVES, SOUND, style_file
from tests.fuzz.requests import json_values

FOREIGN = [
    "id_adapter.x", "pulid_ca.x", "image_proj.mapping_0.0.weight", "ip_adapter_proj_model.x",
    "a.ip_adapter_double_stream_k.weight", "ip_adapter.1.to_k_ip.bias", "visual.attn_pool.x",
    "image_proj.time_embedding.x", "ip_adapter.1.norm_ip.weight", "image_proj.norm.weight",
    "ip_adapter.1.to_q_lora.down.weight", "image_proj.perceiver_resampler.proj_in.weight",
    "image_proj.perceiver_resampler.layers.0.0.to_out.weight", "image_proj.proj.0.weight",
    "image_proj.proj.2.weight", "image_proj.proj_in.weight", "image_proj.layers.0.0.to_q.weight",
]  # fmt: skip
shapes = st.lists(st.sampled_from([0, 1, 8, 16, 24, 64, 512, 2048]), max_size=4).map(tuple)
changes = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from(["drop", "shape", "type"]), shapes), max_size=4
)


@given(
    st.sampled_from(SOUND), changes, st.dictionaries(st.sampled_from(FOREIGN), shapes, max_size=3)
)
def test_changed_tensors_are_something_or_nothing(sound, changed, added):
    found = dict(sound)
    for index, how, shape in changed:
        name = list(found)[index % len(found)]
        if how == "drop":
            del found[name]
        else:
            dtype = "I64" if how == "type" else "F32"
            found[name] = TensorInfo(dtype, shape if how == "shape" else found[name].shape, 1)
        if not found:
            break
    found |= {name: TensorInfo("F16", shape, 1) for name, shape in added.items()}
    image_encoder_kind(found)
    text_encoder_kind(found)
    try:
        adapter_kind(found)
    except InstantStyleError as error:
        assert 10 < len(str(error)) < 600


def test_what_is_not_changed_is_recognised():
    ours, relatives = SOUND[: -len(RELATIVES)], SOUND[-len(RELATIVES) :]
    assert all(adapter_kind(s) or image_encoder_kind(s) or text_encoder_kind(s) for s in ours)
    for relative in relatives:
        with pytest.raises(InstantStyleError, match="adapter"):
            adapter_kind(relative)


FIELDS = [*json.loads(METADATA[METADATA_KEY]), "more"]
KIND = [*json.loads(METADATA[METADATA_KEY])["kind"], "more"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "style.safetensors"


@given(
    st.dictionaries(st.sampled_from(FIELDS), json_values, max_size=2),
    st.dictionaries(st.sampled_from(KIND), json_values | st.integers(0, 20), max_size=2),
    st.text(max_size=12) | st.just("A" * 200_000) | st.just(METADATA[THUMBNAIL]),
    st.sampled_from([None, *style_shapes(INFO)]),
)
def test_a_changed_style(path, changed, kind, thumbnail, missing):
    content = json.loads(METADATA[METADATA_KEY])
    content["kind"] = {**content["kind"], **kind}
    content = {**content, **changed}
    tensors = {name: s for name, s in style_shapes(INFO).items() if name != missing}
    path.write_bytes(style_file({METADATA_KEY: json.dumps(content), THUMBNAIL: thumbnail}, tensors))
    try:
        read_info(path)
    except InstantStyleError as error:
        assert str(error).startswith(path.name) and str(error).endswith(".")


def test_a_style_that_is_not_changed_is_read(path):
    path.write_bytes(style_file(METADATA, style_shapes(INFO)))
    assert read_info(path) == INFO
