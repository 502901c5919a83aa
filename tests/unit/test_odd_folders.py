"""One odd entry never ends a list: it is listed, refused with a sentence, or passed over."""

import os
import shutil

import pytest
import torch
from safetensors.torch import save

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.folder import comparable, model_entries, model_files
from lib_instantstyle.layout import SD15
from lib_instantstyle.methods import TABLE
from lib_instantstyle.methods.b_lora.method import choose_lora
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.models.lora_files import find_lora, lora_files
from lib_instantstyle.styles.file import write_style
from lib_instantstyle.styles.library import StyleLibrary
from tests.unit.adapters import adapter_tensors
from tests.unit.odd_folders import (
    DISTURBANCES,
    LISTED,
    ODD,
    PASSED,
    REFUSED,
    check_answer,
    check_refusals,
    disturbed,
    hugging_face,
    make,
)
from tests.unit.styles import style
from tests.unit.unets import unet_like

ENDING = ".safetensors"


@pytest.fixture(scope="module")
def adapter():
    return save(adapter_tensors(unet_like(SD15)))


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "a.safetensors"
    write_style(path, style())
    return path.read_bytes()


def put_sound(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"sound{ENDING}").write_bytes(data)


@pytest.mark.parametrize("kind", ODD)
def test_adapters(tmp_path, adapter, kind):
    put_sound(tmp_path, adapter)
    name = make(kind, tmp_path, "odd", ENDING, adapter)
    catalog = scan([tmp_path, tmp_path])
    found, refused = [file.name for file in catalog.adapters], dict(catalog.refused)
    assert "sound" in found
    assert (name in found) == (ODD[kind].fate == LISTED), found
    assert (name in refused) == (ODD[kind].fate == REFUSED), refused
    assert len(found) == len(set(found)) == 1 + (ODD[kind].fate == LISTED)
    check_refusals(catalog.refused)
    check_answer([found, refused], tmp_path)
    if ODD[kind].fate == LISTED:
        assert catalog.adapter(name).name == name
    else:
        with pytest.raises(InstantStyleError) as refusal:
            catalog.adapter(name)
        check_answer(str(refusal.value), tmp_path)


@pytest.mark.parametrize(
    "kind",
    [kind for kind in ODD if kind not in ("empty file", "half a file", "pointer of Git LFS")],
)
def test_loras(tmp_path, kind):
    """None is opened to be listed: what is in it is found out when it is used."""
    put_sound(tmp_path, b"never opened")
    name = make(kind, tmp_path, "odd", ENDING, b"never opened")
    files = lora_files([tmp_path, tmp_path])
    assert "sound" in files
    assert (name in files) == (ODD[kind].fate == LISTED)
    assert (name in files.refused) == (ODD[kind].fate == REFUSED)
    check_refusals(files.refused.items())
    check_answer([[*files], files.refused], tmp_path)
    if ODD[kind].fate == LISTED:
        assert find_lora(name, files) == name
    elif ODD[kind].fate == REFUSED:
        with pytest.raises(InstantStyleError, match=r"odd\.safetensors (is|cannot)"):
            find_lora(name, files)


@pytest.mark.parametrize("kind", [kind for kind in ODD if not ODD[kind].deep])
def test_styles(tmp_path, saved, kind):
    """A style's name is one that every system and a prompt can hold, so odd ones are refused."""
    put_sound(tmp_path, saved)
    name = make(kind, tmp_path, "odd", ENDING, saved)
    library = StyleLibrary(tmp_path, TABLE)
    found, refused = [each.name for each in library.styles()], dict(library.refused())
    assert "sound" in found
    check_refusals(refused.items())
    check_answer([found, refused], tmp_path)
    if ODD[kind].fate == PASSED:
        assert found == ["sound"] and not refused
    elif ODD[kind].fate == REFUSED:
        assert name in refused
        with pytest.raises(InstantStyleError, match=r"odd\.safetensors (is|cannot|has)"):
            library.find(name)
    else:
        assert name in found or "is not allowed" in refused[name]
    assert library.find("sound").path.name == f"sound{ENDING}"


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_file_that_is_disturbed_as_it_is_read(tmp_path, monkeypatch, adapter, saved, disturbance):
    disturb, fate = DISTURBANCES[disturbance]

    def adapters(folder):
        catalog = scan([folder])
        return [file.name for file in catalog.adapters], dict(catalog.refused)

    def styles(folder):
        library = StyleLibrary(folder, TABLE)
        entries = [*library._entries()]
        refused = dict(entry for entry in entries if isinstance(entry, tuple))
        return [entry.name for entry in entries if not isinstance(entry, tuple)], refused

    for listed, data in ((adapters, adapter), (styles, saved)):
        folder = tmp_path / listed.__name__
        put_sound(folder, data)
        (folder / f"odd{ENDING}").write_bytes(data)
        with disturbed(monkeypatch, f"odd{ENDING}", disturb):
            found, refused = listed(folder)
        assert found == ["sound"]
        assert ("odd" in refused) == (fate == REFUSED), (listed.__name__, refused)
        check_answer(refused, tmp_path)
        if fate == REFUSED and disturbance in ("permission denied", "a broken disk"):
            assert "cannot be" in refused["odd"]
            assert listed(folder)[0] == ["odd", "sound"]  # readable again: nothing was remembered


@pytest.mark.parametrize("disturbance", DISTURBANCES)
def test_a_lora_that_is_disturbed_as_it_is_read(tmp_path, monkeypatch, disturbance):
    from lib_instantstyle.layout import SDXL
    from lib_instantstyle.methods.b_lora import method
    from tests.units import parse_unit

    put_sound(tmp_path, b"never opened")
    (tmp_path / f"odd{ENDING}").write_bytes(b"never opened")
    monkeypatch.setattr(method, "lora_folders", lambda: [tmp_path])
    unit = parse_unit({"method": "b-lora", "lora": "odd"})
    with (
        disturbed(monkeypatch, f"odd{ENDING}", DISTURBANCES[disturbance][0]),
        pytest.raises(InstantStyleError, match=r"^odd\.safetensors ") as refusal,
    ):
        choose_lora(unit, SDXL)
    check_answer(str(refusal.value), tmp_path)


def test_all_at_once(tmp_path, adapter):
    for number, kind in enumerate(ODD):
        make(kind, tmp_path / f"{number:02}", "odd", ENDING, adapter)
    put_sound(tmp_path, adapter)
    catalog = scan([tmp_path])
    assert "sound" in [file.name for file in catalog.adapters]
    check_answer([[f.name for f in catalog.adapters], catalog.refused], tmp_path)


def test_a_folder_that_is_none(tmp_path, adapter, monkeypatch):
    put_sound(tmp_path / "sound", adapter)
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    denied = tmp_path / "denied"
    put_sound(denied, adapter)
    real = os.scandir

    def scandir(path):
        if os.fspath(path) == str(denied):
            raise PermissionError(13, "Permission denied", str(denied))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    folders = [tmp_path / n for n in ("file", "pipe", "loop", "gone", "none", "denied", "sound")]
    catalog = scan(folders)
    assert [file.name for file in catalog.adapters] == ["sound"]
    assert dict(catalog.refused).keys() == {"loop", "denied"}
    assert dict(catalog.refused)["denied"] == "denied cannot be looked into (Permission denied)."
    check_answer(catalog.refused, tmp_path)
    assert scan([tmp_path]).adapter("sound/sound")  # as a sub-folder too


def test_an_exception_that_nobody_thought_of_is_one_refusal(tmp_path, adapter, monkeypatch):
    from lib_instantstyle.models import catalog as catalog_module

    put_sound(tmp_path, adapter)
    (tmp_path / f"odd{ENDING}").write_bytes(adapter)
    real = catalog_module.read_tensors

    def read(path):
        if path.stem == "odd":
            raise RuntimeError(f"cannot do this with '{path}' nor {path}")
        return real(path)

    monkeypatch.setattr(catalog_module, "read_tensors", read)
    catalog = scan([tmp_path])
    assert [file.name for file in catalog.adapters] == ["sound"]
    ((name, sentence),) = catalog.refused
    assert name == "odd" and "RuntimeError" in sentence
    check_answer(sentence, tmp_path)


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("stem", ["é", "Ω", "ガ", "한글", "ắ", "é/ö"])
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_name_is_found_however_its_accents_are_written(tmp_path, adapter, stem, form):
    import unicodedata

    on_disk = unicodedata.normalize(form, stem)
    path = tmp_path / f"{on_disk}{ENDING}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(adapter)
    catalog, files = scan([tmp_path]), lora_files([tmp_path])
    for asked_in in ("NFC", "NFD"):
        for asked in (stem, f"{stem}{ENDING}"):
            asked = unicodedata.normalize(asked_in, asked)
            assert catalog.adapter(asked).path == path
            assert files[find_lora(asked, files)] == path
            last = asked.rpartition("/")[2]
            assert files[find_lora(last, files)] == path
    listed = unicodedata.normalize("NFC", stem)
    assert [*files] == [catalog.adapters[0].name] == [listed]


def test_two_spellings_of_one_name_are_told_apart(tmp_path, adapter, saved):
    for name in ("é", "e\u0301"):
        (tmp_path / f"{name}{ENDING}").write_bytes(adapter)
    catalog = scan([tmp_path])
    assert len({comparable(file.name) for file in catalog.adapters}) == 2
    assert {catalog.adapter(file.name).path for file in catalog.adapters} == {
        file.path for file in catalog.adapters
    }
    for path in tmp_path.iterdir():
        path.write_bytes(saved)
    library = StyleLibrary(tmp_path, TABLE)
    assert [each.name for each in library.styles()] == ["é"]
    ((name, sentence),) = library.refused()
    assert name == "é" and "rename one of them" in sentence


def test_no_name_is_the_path(tmp_path, adapter):
    """Folders of equal names, each with a file of the same name."""
    folders = [tmp_path / str(i) / "models" for i in range(5)]
    for folder in folders:
        put_sound(folder, adapter)
    names = [file.name for file in scan(folders).adapters]
    assert len(set(names)) == 5
    check_answer(names, tmp_path)


# -- caches of other tools -----------------------------------------------------------------------


def test_a_cache_is_searched_as_deep_as_a_folder_and_no_deeper(tmp_path, adapter):
    deep = {f"{'x/' * depth}{depth}{ENDING}": adapter for depth in range(6)}
    hugging_face(tmp_path / "a" / "b", deep)
    found = [file.path.stem for file in scan([tmp_path]).adapters]
    assert found == [path.stem for path in model_files(tmp_path)] == ["0", "1", "2", "3"]


def test_a_cache_in_a_cache_does_not_go_on_for_ever(tmp_path):
    folder = tmp_path
    for level in range(8):
        folder = folder / f"models--a--{level}" / "snapshots" / "r"
        folder.mkdir(parents=True)
        (folder / f"{level}{ENDING}").touch()
    assert [entry.path.stem for entry in model_entries(tmp_path)] == ["0", "1"]


def test_two_revisions_of_one_file_are_one(tmp_path, adapter):
    root = hugging_face(tmp_path, {f"a{ENDING}": adapter})
    shutil.copytree(root / "snapshots" / "018e402774ae", root / "snapshots" / "2", symlinks=True)
    assert len(scan([tmp_path]).adapters) == 1


def test_a_folder_that_is_only_named_like_a_cache(tmp_path, adapter):
    put_sound(tmp_path / "models--mine", adapter)
    assert [file.name for file in scan([tmp_path]).adapters] == ["models--mine/sound"]


def test_many_links_between_folders_take_one_visit_each(tmp_path, monkeypatch):
    folders = [tmp_path / f"{i:02}" for i in range(20)]
    for folder in folders:
        folder.mkdir()
    for folder in folders:
        for other in folders:
            (folder / other.name).symlink_to(other)
    seen = []
    real = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: seen.append(path) or real(path))
    assert lora_files([tmp_path]) == {}
    assert len(seen) <= 9 * 21


def test_a_tensor_of_a_listed_file_is_read_whatever_its_name(tmp_path):
    from pathlib import Path

    from lib_instantstyle.files.tensors import open_tensors

    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\x83\x1b\n.safetensors"))
    path.write_bytes(save({"x": torch.ones(2, 2)}))
    with open_tensors(path) as read:
        assert read("x").sum() == 4
        with pytest.raises(InstantStyleError) as refusal:
            read("y")
    assert str(refusal.value).startswith(r"\x83\x1b\n.safetensors: the tensor y is missing")
