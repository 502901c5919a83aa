"""What a file of a stranger may hold: it is read, or refused with one sentence. Nothing is run."""

from __future__ import annotations

import base64
import io
import json
import pickle
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_header, read_tensors
from lib_instantstyle.files.pickle_reader import UnreadablePickle, read_pickle
from lib_instantstyle.files.tensor_info import ELEMENT_BYTES, TensorInfo
from lib_instantstyle.files.torch_archive import flatten
from lib_instantstyle.models.adapter_kind import adapter_kind
from lib_instantstyle.models.clip_kind import image_encoder_kind, text_encoder_kind
from lib_instantstyle.references.pictures import decode_picture
from lib_instantstyle.styles.header import read_info
from tests.fuzz.files import read_or_refused
from tests.fuzz.pickles import operations
from tests.fuzz.requests import json_values
from tests.unit.archives import LIES, archive_of, tensor_pickle

COUNTS = st.integers(-3, 40) | st.sampled_from([0, 1, 2, 2**31, 2**62, 2**63, -1])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "file.bin"


# -- safetensors ---------------------------------------------------------------------------------

entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from([*ELEMENT_BYTES, "PICKLE", ""]),
        "shape": st.lists(COUNTS, max_size=4) | json_values,
        "data_offsets": st.lists(COUNTS, min_size=2, max_size=2) | json_values,
    },
)
sound_entries = st.builds(
    lambda dtype, shape: (dtype, shape),
    st.sampled_from(list(ELEMENT_BYTES)),
    st.lists(st.integers(0, 4), max_size=3),
)


@given(
    st.dictionaries(st.text(max_size=8), entries | json_values, max_size=4)
    | st.fixed_dictionaries({"__metadata__": json_values}) | json_values,
    st.integers(-9, 9),
    st.binary(max_size=40),
)  # fmt: skip
def test_any_header(path, content, lie, tail):
    text = json.dumps(content).encode()
    data = struct.pack("<Q", max(0, len(text) + lie)) + text + tail
    for read in (read_header, read_tensors):
        read_or_refused(read, path.with_suffix(".safetensors"), data)


@given(st.dictionaries(st.text(max_size=8), sound_entries, max_size=4), st.integers(-2, 2))
def test_sound_headers_are_read(path, tensors, missing):
    header, position = {}, 0
    for name, (dtype, shape) in tensors.items():
        size = ELEMENT_BYTES[dtype]
        for n in shape:
            size *= n
        header[name] = {
            "dtype": dtype, "shape": shape, "data_offsets": [position, position + size],
        }  # fmt: skip
        position += size
    text = json.dumps(header).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(max(0, position - max(0, missing)))
    found = read_or_refused(read_tensors, path.with_suffix(".safetensors"), data)
    if missing <= 0 and "__metadata__" not in tensors:
        assert {n: t.shape for n, t in found.items()} == {
            n: tuple(s) for n, (_, s) in tensors.items()
        }


@given(st.binary(max_size=120))
def test_any_bytes(path, data):
    for suffix in (".safetensors", ".bin", ".pt"):
        read_or_refused(read_tensors, path.with_suffix(suffix), data)
        read_or_refused(read_tensors, path.with_suffix(suffix), struct.pack("<Q", len(data)) + data)


@given(st.dictionaries(st.sampled_from(["instantstyle", "format", "x"]), st.text(max_size=60)))
def test_any_metadata_of_a_style(path, metadata):
    text = json.dumps({"__metadata__": metadata}).encode()
    read_or_refused(
        read_info, path.with_suffix(".safetensors"), struct.pack("<Q", len(text)) + text
    )


# -- torch.save ----------------------------------------------------------------------------------

programs = st.lists(operations, max_size=25).map(lambda parts: b"\x80\x02" + b"".join(parts) + b".")


@given(programs | st.binary(max_size=80))
def test_any_pickle_builds_data_or_is_refused(program):
    named = []
    try:
        read_pickle(program, lambda found: named.append(found) or found)
    except UnreadablePickle as error:
        assert str(error).startswith("it")


@given(
    programs
    | st.builds(tensor_pickle, st.lists(COUNTS, max_size=3).map(tuple),
                st.lists(COUNTS, max_size=3).map(tuple), COUNTS, st.sampled_from(["0", "1", ""]),
                st.sampled_from(["torch FloatStorage", "torch float8_e5m2", "os system"]))
    | st.sampled_from([lie for lie, _ in LIES.values()]),
    st.binary(max_size=64),
)  # fmt: skip
def test_any_archive(path, program, storage):
    for data in (
        archive_of(program, storage),
        archive_of(program, storage, compression=zipfile.ZIP_DEFLATED),
    ):
        read_or_refused(read_tensors, path, data)


@pytest.mark.parametrize("lie", list(LIES))
@given(storage=st.binary(max_size=32))
def test_an_archive_that_lies(path, lie, storage):
    assert not read_or_refused(read_tensors, path, archive_of(LIES[lie][0], storage[:15]))


SOUND = archive_of(tensor_pickle())


@given(
    st.lists(st.tuples(st.integers(0, len(SOUND) - 1), st.integers(0, 255)), max_size=5),
    st.integers(0, len(SOUND)),
)
def test_a_damaged_archive(path, changes, end):
    data = bytearray(SOUND)
    for position, value in changes:
        data[position] = value
    read_or_refused(read_tensors, path, bytes(data))
    read_or_refused(read_tensors, path, bytes(data[:end]))


@given(st.recursive(st.integers(), lambda x: st.dictionaries(st.text(max_size=4), x, max_size=4)))
def test_any_nesting(content):
    assert not any(isinstance(value, dict) for value in flatten(content).values())
    assert not any(isinstance(value, dict) for value in flatten({"state_dict": content}).values())


class Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('this was run')",))


@given(st.dictionaries(st.text(max_size=5), st.booleans() | st.just(Evil()), max_size=4))
def test_code_is_never_run(path, content):
    pickled = pickle.dumps(content, protocol=2)
    for data in (pickled, archive_of(pickled)):
        found = read_or_refused(read_tensors, path, data)
        assert not found


# -- what files are ------------------------------------------------------------------------------

TENSOR_NAMES = [
    "image_proj.proj.weight",
    "image_proj.norm.weight",
    "image_proj.latents",
    "image_proj.proj.0.weight",
    "image_proj.proj.3.weight",
    "image_proj.proj_in.weight",
    "image_proj.proj_out.weight",
    "image_proj.layers.0.0.to_q.weight",
    "image_proj.layers.0.1.1.weight",
    "ip_adapter.1.to_k_ip.weight",
    "ip_adapter.1.to_v_ip.weight",
    "ip_adapter.3.to_k_ip.weight",
    "ip_adapter.1.to_k_lora.down.weight",
    "image_proj_model.proj.weight",
    "adapter_modules.1.to_k_ip.weight",
    "visual.proj",
    "visual.conv1.weight",
    "visual.class_embedding",
    "visual.positional_embedding",
    "visual.transformer.resblocks.0.mlp.c_fc.weight",
    "text_projection",
    "token_embedding.weight",
    "positional_embedding",
    "transformer.resblocks.0.mlp.c_fc.weight",
    "ln_final.weight",
    "vision_model.embeddings.class_embedding",
    "vision_model.embeddings.patch_embedding.weight",
    "vision_model.embeddings.position_embedding.weight",
    "visual_projection.weight",
    "vision_model.encoder.layers.0.mlp.fc1.weight",
    "text_model.embeddings.token_embedding.weight",
    "text_model.embeddings.position_embedding.weight",
    "text_model.encoder.layers.0.mlp.fc1.weight",
    "text_projection.weight",
]
tensor_names = st.sampled_from(TENSOR_NAMES) | st.text(max_size=10)
WIDTHS = [0, 1, 4, 5, 16, 77, 257, 768, 1024, 1280, 2048, 3072]
tensors = st.dictionaries(
    tensor_names,
    st.builds(
        lambda dtype, shape: TensorInfo(dtype, tuple(shape), 1),
        st.sampled_from(["F16", "F32", "I64"]),
        st.lists(
            st.sampled_from([0, 1, 4, 5, 16, 77, 257, 768, 1024, 1280, 2048, 3072]), max_size=4
        ),
    ),
    max_size=12,
)


@given(tensors)
def test_any_tensors_are_something_or_nothing(found):
    image_encoder_kind(found)
    text_encoder_kind(found)
    try:
        adapter_kind(found)
    except InstantStyleError as error:
        assert 10 < len(str(error)) < 600


# -- pictures ------------------------------------------------------------------------------------


def _files():
    for name in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        buffer = io.BytesIO()
        Image.new("RGB", (9, 7), (200, 90, 30)).save(buffer, name)
        yield buffer.getvalue()


FILES = list(_files())
HEADS = [
    "",
    "data:image/png;base64,",
    "data:text/html;base64,",
    "data:image/svg+xml;utf8,",
    "data:,",
]


@given(
    st.sampled_from(FILES),
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=4),
    st.integers(1, 2000),
    st.sampled_from(HEADS),
)
def test_a_damaged_picture(file, changes, end, head):
    data = bytearray(file)
    for position, value in changes:
        data[position % len(data)] = value
    _decode(head + base64.b64encode(bytes(data[:end])).decode())


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()))
def test_any_text_is_a_picture_or_refused(text):
    for head in HEADS:
        _decode(head + text)


def _decode(text):
    try:
        assert decode_picture(text).image.mode == "RGB"
    except InstantStyleError as error:
        sentence = str(error)
        assert sentence.startswith("image ") and sentence.endswith(".") and "\n" not in sentence
