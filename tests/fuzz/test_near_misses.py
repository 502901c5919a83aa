"""Sound things with one thing wrong where it matters, which changes at random seldom meet."""

from __future__ import annotations

import collections
import io
import json
import math
import os
import pickle
import struct
import zipfile
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files import model_file, nested_names
from lib_instantstyle.files.model_file import read_header
from lib_instantstyle.files.pickle_reader import UnreadablePickle, read_pickle
from lib_instantstyle.files.tensor_info import TensorInfo
from lib_instantstyle.layout import LAYOUTS
from lib_instantstyle.models.adapter_kind import adapter_kind
from lib_instantstyle.models.clip_kind import image_encoder_kind, text_encoder_kind
from lib_instantstyle.references import pictures
from lib_instantstyle.styles import header as style_info
from lib_instantstyle.units.block_weights import COUNTS, parse_block_weights
from lib_instantstyle.units.notations import NAMES
from tests.fuzz.files import INFO, RELATIVES, SOUND, read_or_refused, style_file
from tests.fuzz.requests import fitting, json_values, taken_or_refused
from tests.unit.adapters import PROJECTIONS, Noise, prefixed
from tests.unit.archives import archive_of
from tests.units import FIELDS, PAGE_FIELDS, PAGE_PICTURES, Unit, parse_arguments, parse_unit


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("near") / "file.bin"


# -- adapters and encoders -----------------------------------------------------------------------

NOT_SETTINGS = {  # what a style does not keep, as it is by default
    name: getattr(Unit(), name) for name in (*style_info._NOT_SETTINGS, *PAGE_PICTURES)
}
TYPES = ["F16", "F32", "BF16", "I64", "U8", "F8_E4M3"]


def wrong(shape, how):
    """`shape` with one of the things that go wrong with it."""
    if how == "more":
        return (*shape[:-1], shape[-1] + 8) if shape else (8,)
    if how == "longer":
        return (shape[0] + 1, *shape[1:]) if shape else (1,)
    if how == "turned":
        return shape[::-1]
    return shape[:-1]


@given(
    st.sampled_from(SOUND[: -len(RELATIVES)]),
    st.integers(0, 200),
    st.sampled_from(["drop", "more", "longer", "turned", "fewer", "pooled", *TYPES]),
)
def test_one_tensor_is_wrong(sound, place, how):
    found = dict(sound)
    name = sorted(found)[place % len(found)]
    info = found.pop(name)
    if how in TYPES:
        found[name] = TensorInfo(how, info.shape, 1)
    elif how == "pooled":  # an OpenCLIP that ends in attention
        found[name], found["visual.attn_pool.query"] = info, info
    elif how != "drop":
        found[name] = TensorInfo(info.dtype, wrong(info.shape, how), 1)
    for kind in (image_encoder_kind(found), text_encoder_kind(found)):
        assert kind is None or kind.heads > 0
    try:
        kind = adapter_kind(found)
    except InstantStyleError as error:
        assert 10 < len(str(error)) < 600
    else:
        assert kind is None or (set(kind.layer_widths) <= {1, 3} and kind.layout is None)


@given(
    st.sampled_from(list(LAYOUTS.values())),
    st.sampled_from(list(PROJECTIONS)),
    st.lists(st.integers(0, 300), max_size=2),
    st.sampled_from([("to_k_ip", "to_v_ip"), ("to_k_ip",), ("to_v_ip",)]),
    st.integers(0, 2),
)
def test_layers_of_a_whole_layout(layout, projection, left_out, halves, other_width):
    sizes = (16, 24, 4) if projection == "linear" else (16, 24)
    made = prefixed("image_proj", PROJECTIONS[projection](Noise(), *sizes))
    found = {name: TensorInfo("F16", tuple(t.shape), 1) for name, t in made.items()}
    numbers = sorted(layout.by_number)
    missing = {numbers[place % len(numbers)] for place in left_out}
    for place, number in enumerate(numbers):
        for half in ("to_k_ip", "to_v_ip") if number not in missing else halves:
            width = 24 if other_width and place < other_width else 16
            found[f"ip_adapter.{number}.{half}.weight"] = TensorInfo("F16", (8, width), 1)
    is_whole = (not missing or len(halves) == 2) and not other_width
    try:
        kind = adapter_kind(found)
    except InstantStyleError:
        assert not is_whole
    else:
        assert is_whole and kind.layout is layout


# -- files ---------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 3), st.integers(-3, 3))
def test_ranges_that_overlap_or_leave_gaps(path, counts, moved, by):
    header, position = {}, 0
    for place, count in enumerate(counts):
        shift = by if place == moved else 0
        begin = max(0, position + shift)
        header[str(place)] = {
            "dtype": "U8",
            "shape": [count],
            "data_offsets": [begin, begin + count],
        }
        position += count
    text = json.dumps({**header, "__metadata__": {"a": "b"}}).encode()
    file = path.with_suffix(".safetensors")
    found = read_or_refused(
        read_header, file, struct.pack("<Q", len(text)) + text + bytes(position)
    )
    if moved >= len(counts) or not by:
        assert set(found.tensors) == set(header)
        assert model_file.read_metadata(file) == {"a": "b"}


V3 = getattr(torch._utils, "_rebuild_tensor_v3", None)  # since torch 2.2
GLOBALS = {
    torch._utils._rebuild_tensor_v2, torch._utils._rebuild_parameter, collections.OrderedDict,
    os.system, *filter(None, [V3]),
}  # fmt: skip
UINT16 = getattr(torch, "uint16", torch.int16)  # since torch 2.3
STORAGES = [torch.FloatStorage, torch.HalfStorage, torch.LongStorage, collections.OrderedDict]


class Made:
    """Pickled as a call of one of GLOBALS."""

    def __init__(self, call, arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, tuple(self.arguments)


class Stored:
    """Pickled as a persistent id."""

    def __init__(self, identity):
        self.identity = identity


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.identity if isinstance(value, Stored) else None


def pickled(content):
    buffer = io.BytesIO()
    Pickler(buffer, 2).dump(content)
    return buffer.getvalue()


def contiguous(shape):
    """The strides of a tensor of that shape as torch lays it out."""
    return tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))


small = st.integers(-1, 5) | st.sampled_from([2**31, 2**63, True, "1", None])
identities = st.tuples(
    st.sampled_from(["storage", "storage", "storage", "module"]),
    st.sampled_from([*STORAGES, "torch FloatStorage"]),
    st.sampled_from(["0", "0", "1", 0]),
    st.just("cpu"),
    st.integers(0, 9),
)
storages = st.builds(Stored, identities | identities.map(lambda all_of: all_of[:3]) | small)
shapes = st.lists(st.integers(0, 4), max_size=3).map(tuple) | st.lists(small, max_size=3).map(tuple)
plain = st.builds(
    lambda storage, offset, shape, strides, rest: Made(
        torch._utils._rebuild_tensor_v2, (storage, offset, shape, strides, *rest)
    ),
    storages, st.sampled_from([0, 0, 0, 1, -1, None]), shapes, shapes,
    st.sampled_from([(False, Made(collections.OrderedDict, ())), (), (False,)]),
)  # fmt: skip
typed = st.builds(
    lambda storage, shape, strides, kind, rest: Made(
        V3, (storage, 0, shape, strides, False, None, kind, *rest)
    ),
    storages, shapes, shapes, st.sampled_from([torch.float8_e5m2, UINT16, "x", None]),
    st.sampled_from([(), (False,)]),
)  # fmt: skip
sound = st.tuples(st.lists(st.integers(0, 3), max_size=3), st.sampled_from(STORAGES[:3])).map(
    lambda made: Made(
        torch._utils._rebuild_tensor_v2,
        (
            Stored(("storage", made[1], "0", "cpu", 9)),
            0,
            tuple(made[0]),
            contiguous(made[0]),
            False,
        ),
    )
)
tensors = plain | typed | sound if V3 else plain | sound
parameters = st.builds(
    lambda inner: Made(torch._utils._rebuild_parameter, (inner, True, {})),
    sound | tensors | small,
)
calls = st.builds(Made, st.sampled_from(sorted(GLOBALS, key=repr)), st.lists(small, max_size=3))
archived = st.dictionaries(
    st.text(max_size=4),
    tensors | parameters | calls | storages | small | st.lists(small, max_size=2)
    | st.dictionaries(st.text(max_size=3), tensors | small, max_size=2),
    max_size=4,
) | calls | tensors | small  # fmt: skip


@given(archived, st.integers(0, 64))
def test_pickles_of_almost_tensors(path, content, stored):
    found = read_or_refused(
        model_file.read_tensors, path, archive_of(pickled(content), bytes(stored))
    )
    for info in (found or {}).values():
        assert isinstance(info, TensorInfo) and min(info.shape, default=0) >= 0


@given(
    st.sampled_from(
        ["a/constants.pkl", "a/data.pkl", "a/deep/data.pkl", "a/data/1", "constants.pkl"]
    ),
    st.sampled_from(["", "a", "b"]),
)
def test_zip_files_that_are_almost_archives(path, extra, prefix):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(extra, pickled({}))
        if prefix and extra != f"{prefix}/data.pkl":
            archive.writestr(f"{prefix}/data.pkl", pickled({}))
    read_or_refused(model_file.read_tensors, path, buffer.getvalue())


@given(st.integers(0, 40), st.integers(0, 40))
def test_tables_of_contents_that_are_too_long(path, limit, size):
    content = pickled(dict.fromkeys(map(str, range(size)), 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PICKLE_STEPS", 10 * limit)
        patch.setattr(limits, "PICKLE_BYTES", 20 * limit)
        try:
            assert read_pickle(content, lambda found: found) == pickle.loads(content)  # noqa: S301
        except UnreadablePickle as error:
            assert "table of contents" in str(error)
        patch.setattr(limits, "PICKLE_BYTES", 50 * limit)
        read_or_refused(model_file.read_tensors, path, archive_of(content))


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 400))
def test_dictionaries_that_hold_one_another(outer, inner, most):
    shared = dict.fromkeys(map(str, range(inner)), 0)
    content = {str(number): shared for number in range(outer)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PICKLE_ENTRIES", most)
        try:
            found = nested_names.flatten(content)
        except UnreadablePickle as error:
            assert f"more than {most:,} entries" in str(error)
            assert outer * inner + outer > most
        else:
            assert len(found) == outer * inner <= most - outer


@given(
    st.lists(st.sampled_from([b"]", b"}", b"N", b"(", b"K\1", b"X\1\0\0\0a"]), max_size=3),
    st.sampled_from([b"a", b"e", b"s", b"u", b"R", b"q\1", b"h\1", b"b", b"Q"]),
)
def test_operations_on_what_they_do_not_fit(before, operation):
    program = b"\x80\x02" + b"".join(before) + operation + b"."
    try:
        read_pickle(program, lambda found: found)
    except UnreadablePickle as error:
        assert "table of contents is damaged" in str(error)


# -- styles --------------------------------------------------------------------------------------


@given(st.fixed_dictionaries({}, optional={name: fitting(name) for name in FIELDS}),
       st.integers(1, 2000), st.integers(0, 1200), st.integers(-700, 700))  # fmt: skip
def test_a_style_of_any_unit_is_read_again(path, given_unit, width, vector, spare):
    unit = taken_or_refused(parse_unit, given_unit)
    if unit is None:
        return
    kind = replace(INFO.kind, width=width, embedding_width=vector)
    info = replace(INFO, kind=kind, settings=style_info.settings_of(unit))
    data = style_file(style_info.metadata_of(info), style_info.shapes_of(info))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "STYLE_BYTES", len(data) + spare)
        again = read_or_refused(style_info.read_info, path.with_suffix(".safetensors"), data)
    assert (again is None) == (spare < 0)
    if again:
        assert again == info and again.encoder_title
        assert ("linear" in again.serves) == bool(vector)
        assert parse_unit(again.settings) == replace(unit, **NOT_SETTINGS)


# -- pictures ------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 160), st.integers(0, 500))
def test_pictures_around_the_limits(width, height, most_pixels, most_bytes):
    text = encoded(Image.new("RGB", (width, height)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "PICTURE_PIXELS", most_pixels)
        patch.setattr(limits, "PICTURE_BYTES", most_bytes)
        try:
            decoded = pictures.decode_picture(text)
        except InstantStyleError as error:
            assert "up to" in str(error) or "pixels; make the picture smaller" in str(error)
            assert width * height > most_pixels or len(text) * 3 // 4 > most_bytes
        else:
            assert decoded.image.size == (width, height) and width * height <= most_pixels


def encoded(image):
    import base64

    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


# -- requests ------------------------------------------------------------------------------------

UNCHANGED = {name: value if isinstance(value, (bool, int, float, str)) else ""
             for name in FIELDS for value in [getattr(Unit(), name)]}  # fmt: skip
page = st.lists(
    st.fixed_dictionaries({}, optional={name: fitting(name) for name in ("image", "mask", *FIELDS)})
    | st.sampled_from(list(FIELDS)).flatmap(
        lambda name: st.fixed_dictionaries({name: fitting(name)})
    ),
    min_size=1,
    max_size=3,
).map(
    lambda units: [
        {**UNCHANGED, **unit}[name]
        for names in (PAGE_FIELDS, PAGE_PICTURES)
        for unit in units
        for name in names
    ]
)


@given(page, st.booleans(), st.sampled_from([0, 0, 0, 1]), st.integers(0, 300), json_values)
def test_any_values_of_the_page(values, switch, missing, place, value):
    arguments = [switch, *values[missing:]]
    if missing <= place < len(values):
        arguments[1 + place - missing] = value
    units = taken_or_refused(parse_arguments, arguments)
    if not switch:
        assert units == []
    for unit in units or ():
        assert unit.title == f"unit {unit.number}"
        assert not unit.is_untouched or unit == Unit()


one_picture = st.sampled_from(["aaaa", {"image": "aaaa", "weight": 2}, "", None, 7, []])


@given(
    st.lists(one_picture, max_size=20) | st.lists(st.just("aaaa"), min_size=14, max_size=20),
    st.sampled_from([list, json.dumps, lambda listed: json.dumps(listed)[:-1], tuple]),
)
def test_lists_of_pictures(listed, form):
    unit = taken_or_refused(parse_unit, {"image": form(listed)})
    assert unit is None or len(unit.image) <= len(listed)
    for value in listed:
        unit = taken_or_refused(parse_unit, {"mask": value})
        assert unit is None or unit.mask in (None, "aaaa")


numbers = st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=9, max_size=17)
written = {
    "name": lambda tool: st.sampled_from(sorted(NAMES[tool])) if NAMES[tool] else st.just("none"),
    "list": lambda tool: (numbers | numbers.map(lambda n: [round(x, 2) for x in n])).map(str),
    "right count": lambda tool: st.sampled_from(sorted(COUNTS.get(tool, {11}))).flatmap(
        lambda count: st.lists(
            st.integers(-2, 2), min_size=count, max_size=count
        ).map(lambda n: ", ".join(map(str, n)))
    ),
    "indices": lambda tool: st.lists(
        st.tuples(st.integers(0, 17), st.integers(-2, 3)), min_size=1, max_size=4
    ).map(lambda pairs: ", ".join(f"{index}:{weight}" for index, weight in pairs)),
    "JSON": lambda tool: st.dictionaries(
        st.sampled_from(["up", "down", "mid"]),
        st.integers(-1, 2)
        | st.lists(st.integers(0, 2), max_size=3)
        | st.dictionaries(
            st.sampled_from(["block_0", "block_1", "x"]),
            st.integers(0, 2) | st.lists(st.integers(0, 2), max_size=4),
        ),
        max_size=2,
    ).map(json.dumps),
    "broken": lambda tool: st.sampled_from(
        ["[" * 9000, "[" + "1" * 5000 + "]", "{", "[1, 2", "[1, {}]", "3:2.5, x:1", ";; ,", "-",
         "1, 3=1"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("tool", list(NAMES))
@pytest.mark.parametrize("form", list(written))
@given(data=st.data())
def test_what_other_tools_write(tool, form, data):
    text = data.draw(written[form](tool))
    for whole in (f"{tool}: {text}", text):
        weights = taken_or_refused(parse_block_weights, whole)
        if weights is None:
            continue
        assert parse_block_weights(weights) is weights
        assert bool(weights) == (str(weights) != "")
        for layout in LAYOUTS.values():
            vector = taken_or_refused(weights.vector, layout)
            assert vector is None or all(0 <= index < len(layout.blocks) for index in vector)
