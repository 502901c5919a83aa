"""Embeddings on disk: exact, checked, and never a reason to fail."""

import pytest
import torch

from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references.vectors import EmbeddingFiles
from tests.unit.adapters import write
from tests.unit.image_encoders import hugging_face_encoder, hugging_face_tensors

KEY = ("hash", "/models/clip.safetensors", 10, 20, torch.float32, True)


@pytest.fixture
def files(tmp_path):
    return EmbeddingFiles(BoundedFolder(tmp_path / "cache", ".safetensors", 10**6))


def only(tmp_path):
    (path,) = (tmp_path / "cache").glob("*.safetensors")
    return path


def test_what_was_put_comes_back_exactly_in_another_process_too(tmp_path, files):
    tensor = torch.randn(257, 80)
    files.put(KEY, tensor)
    found = EmbeddingFiles(BoundedFolder(tmp_path / "cache", ".safetensors", 10**6)).get(KEY)
    assert torch.equal(found, tensor) and found.dtype == torch.float32
    assert files.get((*KEY[:-1], False)) is None
    assert files.problem == ""


def test_what_a_16_bit_encoder_made_takes_half_the_room(tmp_path, files):
    tensor = torch.randn(257, 80).half().float()
    files.put(KEY, tensor)
    assert torch.equal(files.get(KEY), tensor)
    assert 2 * tensor.numel() < only(tmp_path).stat().st_size < 2 * tensor.numel() + 500


@pytest.mark.parametrize("at", [0, 40, 200, -1, -1000])
def test_a_damaged_file_is_ignored_and_removed(tmp_path, files, at):
    files.put(KEY, torch.randn(257, 80))
    path = only(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 0x11
    path.write_bytes(data)
    assert files.get(KEY) is None and not path.exists()


@pytest.mark.parametrize("length", [0, 7, 100, 5000])
def test_half_a_file_is_ignored_and_removed(tmp_path, files, length):
    files.put(KEY, torch.randn(257, 80))
    path = only(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    assert files.get(KEY) is None and not path.exists()


def test_a_file_under_another_key_is_not_taken_for_it(tmp_path, files):
    files.put(KEY, torch.zeros(4))
    first = only(tmp_path)
    files.put(("other", *KEY[1:]), torch.ones(4))
    (second,) = set((tmp_path / "cache").glob("*.safetensors")) - {first}
    first.replace(second)
    assert files.get(("other", *KEY[1:])) is None


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the folder should be")
    files = EmbeddingFiles(BoundedFolder(tmp_path / "cache", ".safetensors", 10**6))
    files.put(KEY, torch.zeros(4))
    assert files.get(KEY) is None
    assert files.problem.startswith("embeddings cannot be kept in ")
    assert f"{tmp_path.name}/cache (" in files.problem and "encoded again" in files.problem
    assert str(tmp_path) not in files.problem


def test_the_search_for_models_passes_the_folder_over(tmp_path, files):
    files.put(KEY, torch.zeros(4))
    encoder_file = hugging_face_tensors(hugging_face_encoder("H"))
    write(tmp_path / "cache" / "encoder.safetensors", encoder_file)
    assert scan([tmp_path]).image_encoders == ()
    (tmp_path / "cache" / "CACHEDIR.TAG").unlink()
    assert len(scan([tmp_path]).image_encoders) == 1
