"""Files recognised by what is in them, and damaged ones refused by name."""

import json
import os
import struct
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.model_file import read_header
from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.models import catalog as catalog_module
from lib_instantstyle.models.catalog import scan
from tests.unit.adapters import adapter_tensors, write
from tests.unit.image_encoders import encoder_tensors
from tests.unit.unets import unet_like


def test_names_and_folders_say_nothing(tmp_path):
    sdxl, sd15 = unet_like(SDXL), unet_like(SD15)
    write(tmp_path / "faceid_v2_portrait" / "sd15_plus.safetensors", adapter_tensors(sdxl, 24))
    write(tmp_path / "sdxl.safetensors", adapter_tensors(sd15, 40, tokens=8))
    write(tmp_path / "ip-adapter.safetensors", encoder_tensors(24))
    write(tmp_path / "lora.safetensors", {"a": torch.zeros(2)})
    catalog = scan([tmp_path, tmp_path / "missing"])
    assert [t.name for t in catalog.image_encoders] == ["ip-adapter"]
    found = {
        a.name: (
            a.kind.layout,
            a.kind.projection.feature_width,
            a.kind.projection.tokens,
        )
        for a in catalog.adapters
    }
    assert found == {
        "faceid_v2_portrait/sd15_plus": (SDXL, 24, 4),
        "sdxl": (SD15, 40, 8),
    }
    assert not catalog.refused


def test_equal_names_are_told_apart(tmp_path):
    tensors = adapter_tensors(unet_like(SD15))
    for name in ("one/a.safetensors", "one/a.bin", "one/a.pt", "two/a.safetensors", "two/a.bin",
                 "two/b.bin"):  # fmt: skip
        write(tmp_path / name, tensors)
    catalog = scan([tmp_path / "one", tmp_path / "two", tmp_path / "one"])
    names = {a.name: a.path.relative_to(tmp_path).as_posix() for a in catalog.adapters}
    assert names == {
        "a": "one/a.safetensors",
        "a.bin": "one/a.bin",
        "a.pt": "one/a.pt",
        "a (two)": "two/a.safetensors",
        "a.bin (two)": "two/a.bin",
        "b": "two/b.bin",
    }
    for name in names:
        assert catalog.adapter(name).name == name
    assert catalog.adapter("a.safetensors").name == "a"
    assert catalog.adapter("b.bin").name == "b"


def test_a_file_is_looked_into_once(tmp_path, monkeypatch):
    looked = []
    real = catalog_module.read_tensors
    monkeypatch.setattr(catalog_module, "read_tensors", lambda p: looked.append(p.name) or real(p))
    write(tmp_path / "a.safetensors", adapter_tensors(unet_like(SD15)))
    write(tmp_path / "b.bin", adapter_tensors(unet_like(SD15)))
    (tmp_path / "c.pth").write_bytes(b"PK nothing")
    first, second = scan([tmp_path]), scan([tmp_path])
    assert sorted(looked) == ["a.safetensors", "b.bin", "c.pth"]
    assert first == second and len(first.refused) == 1


def test_500_files_cost_one_status_each_where_none_has_changed(tmp_path, monkeypatch):
    """Nothing is opened, named or resolved again; a changed file is the only one looked into."""
    folders = [tmp_path / name for name in ("one", "two")]
    for i in range(500):
        folder = folders[i % 2] / f"deep {i % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"m{i:03}.safetensors").write_bytes(save({"a": torch.zeros(2)}))
    write(tmp_path / "one" / "adapter.safetensors", adapter_tensors(unet_like(SD15)))
    first = scan(folders)
    looked, resolved, listed = [], [], []
    real, resolve, scandir = catalog_module.read_tensors, os.path.realpath, os.scandir
    monkeypatch.setattr(catalog_module, "read_tensors", lambda p: looked.append(p.name) or real(p))
    monkeypatch.setattr(os.path, "realpath", lambda p: resolved.append(p) or resolve(p))
    monkeypatch.setattr(os, "scandir", lambda p: listed.append(p) or scandir(p))
    monkeypatch.setattr(
        catalog_module, "listed_name", lambda *a: pytest.fail("a name was made again")
    )
    assert scan(folders) is first
    assert looked == [] and len(resolved) == len(listed) == 12  # folders
    monkeypatch.undo()
    monkeypatch.setattr(catalog_module, "read_tensors", lambda p: looked.append(p.name) or real(p))
    changed = folders[1] / "deep 1" / "m001.safetensors"
    write(changed, adapter_tensors(unet_like(SD15)))
    second = scan(folders)
    assert looked == ["m001.safetensors"] and len(second.adapters) == 2
    changed.unlink()
    assert scan(folders) == first and looked == ["m001.safetensors"]


@pytest.mark.parametrize("change", ["same size", "renamed", "another link"])
def test_a_catalog_is_never_older_than_its_files(tmp_path, change):
    sdxl, sd15 = (save(adapter_tensors(unet_like(layout))) for layout in (SDXL, SD15))
    folder, path = tmp_path / "there", tmp_path / "there" / "a.safetensors"
    folder.mkdir()
    for name, data in (("sdxl", sdxl), ("sd15", sd15)):
        (tmp_path / name).write_bytes(data)
    if change == "another link":
        path.symlink_to(tmp_path / "sdxl")
    else:
        path.write_bytes(sdxl)
    assert [a.kind.layout for a in scan([folder]).adapters] == [SDXL]
    if change == "renamed":
        path.rename(folder / "b.safetensors")
        assert [a.name for a in scan([folder]).adapters] == ["b"]
        return
    if change == "another link":
        path.unlink()
        path.symlink_to(tmp_path / "sd15")
    else:
        before = path.stat()
        path.write_bytes(sd15 + bytes(len(sdxl) - len(sd15)))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert [a.kind.layout for a in scan([folder]).adapters] == [SD15]


def test_who_finds_a_damaged_file_first_is_not_remembered_with_it(tmp_path):
    """Its frame holds the WebUI's UNet, where it is a generation that looks."""
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")

    def generate():
        unet = torch.nn.Identity()
        assert len(scan([tmp_path]).refused) == 1
        return weakref.ref(unet)

    assert generate()() is None


def test_a_file_cut_anywhere_in_its_header_is_refused_with_a_sentence(tmp_path):
    data = save({"a": torch.zeros(2, 2), "b": torch.zeros(3)})
    (length,) = struct.unpack("<Q", data[:8])
    path = tmp_path / "cut.safetensors"
    for end in range(8 + length + 28):
        path.write_bytes(data[:end])
        with pytest.raises(InstantStyleError, match="not a sound"):
            read_header(path)
    path.write_bytes(data)
    assert read_header(path).tensors["a"].shape == (2, 2)


def entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


@pytest.mark.parametrize(
    "header",
    [
        [],
        {"a": 3},
        {"a": entry(dtype="PICKLE")},
        {"a": entry(shape=(-2,))},
        {"a": entry(shape=(2**40,), offsets=(0, 2**42))},
        {"a": entry(offsets=(0, 4))},
        {"a": entry(), "b": entry()},
        {"a": entry(), "__metadata__": 3},
        {"a": {**entry(), "shape": "2"}},
        {"a": {**entry(), "data_offsets": [0, 8, 9]}},
        {"a": {**entry(), "shape": [True, 2]}},
    ],
)
def test_headers_that_lie_are_refused(tmp_path, header):
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)
    with pytest.raises(InstantStyleError, match="not a sound"):
        read_header(path)


def test_an_absurd_header_length_is_not_believed(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(InstantStyleError, match="claims"):
        read_header(path)


@given(st.binary(max_size=120))
def test_any_bytes_are_a_header_or_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("x") / "x.safetensors"
    for content in (data, struct.pack("<Q", len(data)) + data):
        path.write_bytes(content)
        try:
            read_header(path)
        except InstantStyleError as error:
            assert "not a sound" in str(error)
