"""Files of torch.save read without unpickling: what torch says is in them, or a sentence."""

import collections
import io
import json
import os
import pickle
import struct
import zipfile

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.files.nested_names import flatten
from lib_instantstyle.files.tensors import open_tensors
from lib_instantstyle.layout import SD15
from lib_instantstyle.models.catalog import scan
from tests.unit.adapters import adapter_tensors, as_diffusers, write
from tests.unit.archives import LIES, archive_of, saved, tensor_pickle, zipped
from tests.unit.left_out import SAVES_FLOAT8
from tests.unit.unets import unet_like

NAMES = {
    torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
    torch.int64: "I64", torch.int32: "I32", torch.int16: "I16", torch.int8: "I8",
    torch.uint8: "U8", torch.bool: "BOOL",
}  # fmt: skip
if SAVES_FLOAT8:
    NAMES |= {torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2"}


def contents(data, tmp_path, name="model.bin"):
    path = tmp_path / name
    path.write_bytes(data)
    return read_tensors(path)


def test_names_types_and_shapes_are_what_torch_says(tmp_path):
    model = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5))
    base = torch.arange(24.0)
    content = {
        "model": model.state_dict(),  # an OrderedDict with attributes
        "parameter": torch.nn.Parameter(torch.ones(2, 2)),
        "view": base.view(4, 6)[1:3, ::2],
        "transposed": base.view(4, 6).T,
        "scalar": torch.tensor(2.0),
        "empty": torch.zeros(0, 4),
        "types": {str(dtype): torch.zeros(3).to(dtype) for dtype in NAMES},
        "nothing of ours": {"step": 7, "rates": [1e-4, 2.5], "who": "me", "none": None,
                            "yes": True, "big": 2**40, "pair": (1, (2, 3))},
    }  # fmt: skip
    found = contents(saved(content), tmp_path)
    truth = {n: v for n, v in flatten(content).items() if isinstance(v, torch.Tensor)}
    assert found.keys() == truth.keys()
    for name, tensor in truth.items():
        assert found[name].dtype == NAMES[tensor.dtype]
        assert found[name].shape == tuple(tensor.shape)
        assert found[name].bytes == tensor.numel() * tensor.element_size()


def test_one_more_dictionary_around_everything_makes_no_difference(tmp_path):
    inner = {"visual.proj": torch.zeros(2, 2)}
    plain = contents(saved(inner), tmp_path, "a.pt")
    wrapped = contents(saved({"epoch": 3, "state_dict": inner}), tmp_path, "b.pt")
    assert plain == wrapped
    with open_tensors(tmp_path / "b.pt") as read:
        assert list(read.names) == ["visual.proj"]


def test_what_is_listed_is_what_is_loaded(tmp_path):
    tensors = adapter_tensors(unet_like(SD15), 24)
    path = write(tmp_path / "a.bin", as_diffusers(tensors))
    with open_tensors(path) as read:
        assert set(read.names) == set(tensors) == set(read_tensors(path))
        for name, tensor in tensors.items():
            assert torch.equal(read(name), tensor)


def test_the_ending_of_a_name_says_nothing(tmp_path):
    tensors = adapter_tensors(unet_like(SD15), 24)
    write(tmp_path / "a.safetensors", tensors).rename(tmp_path / "a.bin")
    write(tmp_path / "b.pth", tensors).rename(tmp_path / "b.safetensors")
    assert (
        read_tensors(tmp_path / "a.bin").keys() == read_tensors(tmp_path / "b.safetensors").keys()
    )
    for name in ("a.bin", "b.safetensors"):
        with open_tensors(tmp_path / name) as read:
            assert torch.equal(read("image_proj.norm.bias"), tensors["image_proj.norm.bias"])


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch never",))


class Remembered:
    def __init__(self):
        self.anything = 1


def test_code_is_neither_run_nor_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pickle, "Unpickler", None)
    monkeypatch.setattr(pickle, "_Unpickler", None)
    for content, name in (
        ({"a": Bomb()}, f"'{os.name}.system'"),
        ({"a": torch.zeros(2), "b": Remembered()}, "Remembered"),
        ({"a": collections.Counter("aab")}, "'collections.Counter'"),
    ):
        with pytest.raises(InstantStyleError, match=name) as caught:
            contents(saved(content), tmp_path)
        assert "nothing of it was run" in str(caught.value)
    assert not (tmp_path / "never").exists()


@pytest.fixture
def no_other_reader(monkeypatch):
    """Whoever else can read a file that torch.save wrote."""
    for owner, name in (
        (torch, "load"), (torch.serialization, "load"), (torch.serialization, "_load"),
        (torch.jit, "load"), (torch._C, "import_ir_module"), (torch._C, "PyTorchFileReader"),
        (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (pickle, "_Unpickler"),
    ):  # fmt: skip
        monkeypatch.setattr(owner, name, lambda *a, name=name, **k: pytest.fail(f"{name} was used"))


def test_code_is_not_run_by_loading_either(tmp_path, monkeypatch, no_other_reader):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.bin"
    path.write_bytes(saved({"a": Bomb()}))
    with pytest.raises(InstantStyleError, match=r"a\.bin cannot be used"), open_tensors(path):
        pass
    assert not (tmp_path / "never").exists()
    path.write_bytes(saved({"a": torch.ones(2)}))
    with open_tensors(path) as read:
        assert read("a").tolist() == [1, 1]


class Listed(torch.nn.Module):
    """A module that TorchScript runs when the file is loaded."""

    @torch.jit.export
    def __getstate__(self):
        return 1

    @torch.jit.export
    def __setstate__(self, state: int):
        print("this was run")


def as_entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {e.filename: archive.read(e) for e in archive.infolist()}


def moved(entries, folder):
    return {folder + name.partition("/")[2]: data for name, data in entries.items()}


def two_in_one():
    """A program in `a/`, a sound adapter in `a/b/`: the smallest file that torch 2.1 ran."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Listed()), buffer)
    program = moved(as_entries(buffer.getvalue()), "a/")
    program["a/DATA.PKL"] = program.pop("a/data.pkl")
    sound = as_entries(saved(as_diffusers(adapter_tensors(unet_like(SD15), 24))))
    return program | moved(sound, "a/b/")


TABLE = "m/data.pkl"
SECOND = {
    "a program beside the adapter": two_in_one,
    "a program in another folder": lambda: {"c/constants.pkl": b"", **sound_entries()},
    "a program in capitals": lambda: {"m/CONSTANTS.PKL": b"", **sound_entries()},
    "a program further down": lambda: {"m/x/Constants.pkl": b"", **sound_entries()},
    "a second table in capitals": lambda: {"m/DATA.PKL": b"", **sound_entries()},
    "a second table in another folder": lambda: {**sound_entries(), "n/data.pkl": b""},
    "the table below the first folder": lambda: moved(sound_entries(), "m/n/"),
    "a second folder that holds nothing": lambda: {**sound_entries(), "n/x": b""},
    "a storage that differs in case": lambda: {**sound_entries(), "m/DATA/0": b"\0" * 16},
    "an entry in no folder": lambda: {"version": b"3", **sound_entries()},
    "numbers the other way round": lambda: {**sound_entries(), "m/byteorder": b"big"},
}


def sound_entries():
    return {TABLE: tensor_pickle(), "m/data/0": b"\0" * 16, "m/version": b"3\n"}


@pytest.mark.parametrize("case", list(SECOND))
def test_a_file_that_two_readers_see_differently_is_refused(case, tmp_path, no_other_reader):
    path = tmp_path / "a.bin"
    path.write_bytes(zipped(sound_entries()))
    assert set(read_tensors(path)) == {"w"}
    path.write_bytes(zipped(SECOND[case]()))
    with pytest.raises(InstantStyleError, match=r"^a\.bin cannot be used: it") as listed:
        read_tensors(path)
    with pytest.raises(InstantStyleError) as loaded, open_tensors(path):
        pass
    assert str(loaded.value) == str(listed.value)


def twice(data, old, new):
    """`data`, a zip with entries `old` and `new` of one length, both called `old` afterwards."""
    return data.replace(new, old)


def in_the_list(data, old, new):
    """Another name in the list of files than in front of the entry."""
    at = data.rindex(old)
    return data[:at] + new + data[at + len(old) :]


def two_storages():
    return zipped({**sound_entries(), "m/data/1": b"\1" * 16})


ZIPS = {
    "one name twice": lambda: twice(two_storages(), b"m/data/0", b"m/data/1"),
    "two tables of one name": lambda: twice(
        zipped({"m/date.pkl": tensor_pickle(), **sound_entries()}), b"m/data.pkl", b"m/date.pkl"
    ),
    "another name before the entry": lambda: in_the_list(two_storages(), b"m/data/1", b"m/data/2"),
    "a place that is taken": lambda: in_the_list(two_storages(), b"m/data/1", b"m/data/0"),
}


@pytest.mark.parametrize("case", list(ZIPS))
def test_a_zip_that_contradicts_itself_is_refused(case, tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(ZIPS[case]())
    for read in (read_tensors, load_all):
        with pytest.raises(InstantStyleError, match=r"^a\.bin cannot be used: it"):
            read(path)


def test_what_was_opened_is_what_is_loaded(tmp_path):
    """Exchanged, or cut short, between the first tensor and the second."""
    path, other = tmp_path / "a.bin", tmp_path / "b.bin"
    size = 100_000  # more than the file object reads ahead
    path.write_bytes(saved({"a": torch.ones(2), "b": torch.full((size,), 2.0)}))
    other.write_bytes(saved({"a": torch.zeros(2), "b": torch.zeros(size)}))
    with open_tensors(path) as read:
        first = read("a")
        other.replace(path)
        assert read("b").unique().tolist() == [2]
    with open_tensors(path) as read:
        kept = read("a")
        path.write_bytes(path.read_bytes()[:20])
        with pytest.raises(InstantStyleError, match=r"a\.bin: the tensor b cannot be read"):
            read("b")
    assert first.tolist() == [1, 1] and kept.tolist() == [0, 0]  # a mapped file would end us


def test_views_of_one_storage_claim_no_more_than_it_holds(tmp_path):
    base = torch.arange(1000.0)
    halves = {"a": base[:500], "b": base[500:], "tied": base[::2]}
    path = tmp_path / "a.bin"
    path.write_bytes(saved(halves))
    with open_tensors(path) as read:
        for name, tensor in halves.items():
            assert torch.equal(read(name), tensor)
    path.write_bytes(saved({str(i): base.view(10, 100) for i in range(3)}))
    with pytest.raises(InstantStyleError, match="all its tensors together are larger"):
        read_tensors(path)


def test_only_regular_files_are_opened(tmp_path):
    """A pipe would keep the reader waiting for ever."""
    path = tmp_path / "a.bin"
    os.mkfifo(path)
    for read in (read_tensors, load_all):
        with pytest.raises(InstantStyleError, match=r"a\.bin is not a regular file"):
            read(path)


HEADER = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
DOUBLES = {
    "a tensor": '{"a": %s, "a": %s}',
    "a field": '{"a": {"dtype": "F16", "dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}',
    "metadata": '{"__metadata__": {}, "a": %s, "__metadata__": {"x": "y"}}',
    "metadata's own": '{"__metadata__": {"x": "1", "x": "2"}, "a": %s}',
}


@pytest.mark.parametrize("case", list(DOUBLES))
def test_a_header_that_names_a_thing_twice_is_refused(case, tmp_path):
    text = DOUBLES[case].replace("%s", json.dumps(HEADER)).encode()
    data = struct.pack("<Q", len(text)) + text + bytes(4)
    with pytest.raises(InstantStyleError, match=r"its header names '.*' twice"):
        contents(data, tmp_path, "a.safetensors")


def script_module():
    return torch.jit.script(torch.nn.Linear(2, 2))


def test_the_pickle_written_by_hand_is_what_torch_reads(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(archive_of(tensor_pickle()))
    assert read_tensors(path)["w"].shape == (2, 2)


@pytest.mark.parametrize("case", list(LIES))
def test_pickles_that_lie_are_refused(case, tmp_path):
    pickled, sentence = LIES[case]
    with pytest.raises(InstantStyleError, match=sentence) as caught:
        contents(archive_of(pickled), tmp_path)
    assert str(caught.value).startswith("model.bin cannot be used: it")


OTHER_FILES = {
    "a TorchScript program": (
        lambda: zipped({"m/data.pkl": b"", "m/constants.pkl": b""}),
        "Script",
    ),
    "another zip": (lambda: zipped({"word/document.xml": b"<a/>"}), "none that torch.save wrote"),
    "two tables": (lambda: zipped({"a/data.pkl": b"", "b/data.pkl": b""}), "none that torch.save"),
    "compressed": (
        lambda: archive_of(tensor_pickle(), compression=zipfile.ZIP_DEFLATED),
        "compressed zip",
    ),
    "the old format": (
        lambda: saved({"a": torch.zeros(2)}, _use_new_zipfile_serialization=False),
        "format of torch before 1.6",
    ),
    "a plain pickle": (lambda: pickle.dumps({"a": 1}), "format of torch before 1.6"),
    "nothing": (lambda: b"", "neither a .safetensors file nor"),
    "a picture": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(50), "neither a .safetensors file nor"),
    "text": (lambda: b"version https://git-lfs.github.com/spec/v1\n", "neither a .safetensors"),
}


@pytest.mark.parametrize("case", list(OTHER_FILES))
def test_other_files_are_refused_by_what_they_are(case, tmp_path):
    make, sentence = OTHER_FILES[case]
    with pytest.raises(InstantStyleError, match=sentence):
        contents(make(), tmp_path)
    (refused,) = scan([tmp_path]).refused
    assert refused[0] == "model" and sentence in refused[1]


def test_sizes_and_steps_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PICKLE_STEPS", 1000)
    with pytest.raises(InstantStyleError, match="table of contents is too long"):
        contents(archive_of(b"\x80\x02" + b"}" * 1001 + b"."), tmp_path)
    huge = b"\x80\x02X" + struct.pack("<I", 5_000_000) + b"a" * 5_000_000 + b"."
    with pytest.raises(InstantStyleError, match="table of contents is too long"):
        contents(archive_of(huge), tmp_path)


def test_dictionaries_that_hold_one_another_end(tmp_path):
    """A dictionary of itself, and a thousand in each of four levels: 10**12 names if spelt out."""

    def level(inner):
        entries = b"".join(
            b"X\x03\x00\x00\x00" + f"{i:03}".encode() + b"h" + bytes([inner]) for i in range(1000)
        )
        return b"}" + b"q" + bytes([inner + 1]) + b"(" + entries + b"u"

    nested = b"\x80\x02}q\x00" + b"".join(level(i) for i in range(4)) + b"."
    with pytest.raises(InstantStyleError, match="more than 200,000 entries"):
        contents(archive_of(nested), tmp_path)
    assert contents(archive_of(b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."), tmp_path) == {}


TINY = saved({"image_proj": {"a": torch.zeros(2)}, "ip_adapter": {"b": torch.ones(1)}})


def test_a_file_cut_at_any_byte_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "cut.bin"
    for end in range(len(TINY)):
        path.write_bytes(TINY[:end])
        with pytest.raises(InstantStyleError) as caught:
            read_tensors(path)
        assert str(caught.value).startswith("cut.bin ")
    path.write_bytes(TINY)
    assert set(read_tensors(path)) == {"image_proj.a", "ip_adapter.b"}


def test_a_zip_that_begins_before_the_file_is_refused_with_a_sentence(tmp_path):
    path = tmp_path / "early.bin"
    data = archive_of(tensor_pickle())
    end = data.index(b"PK\x05\x06") + 16  # where its directory begins, as its last record says
    path.write_bytes(data[:end] + b"\xff\xff\xff\x00" + data[end + 4 :])
    with pytest.raises(InstantStyleError, match=r"early\.bin cannot be used: it is damaged"):
        read_tensors(path)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(TINY) - 1), st.integers(0, 255)), max_size=4))
def test_a_damaged_file_is_read_or_refused_with_a_sentence(tmp_path_factory, changes):
    data = bytearray(TINY)
    for position, value in changes:
        data[position] = value
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(data)
    for read in (read_tensors, load_all):
        try:
            read(path)
        except InstantStyleError as error:
            assert str(error).startswith("damaged.bin")


def load_all(path):
    with open_tensors(path) as read:
        for name in read.names:
            read(name)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_pickle_is_read_or_refused_with_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.bin"
    for pickled in (data, b"\x80\x02" + data, tensor_pickle()[:-1] + data):
        path.write_bytes(archive_of(pickled))
        try:
            read_tensors(path)
        except InstantStyleError as error:
            assert str(error).startswith("any.bin cannot be used: it")
