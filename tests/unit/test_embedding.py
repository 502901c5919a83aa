"""What is remembered of a picture, and that the encoder runs no more often than it must."""

import numpy as np
import pytest
import torch
from PIL import Image

from lib_instantstyle.clip.device_memory import Unmanaged
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.own_files import BoundedFolder
from lib_instantstyle.layout import SD15
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.references import vectors as embedding
from lib_instantstyle.references.pictures import Picture
from lib_instantstyle.references.vectors import EmbeddingFiles, ImageEmbeds
from lib_instantstyle.references.views import ZERO_IMAGE, EncoderInput, reference_input
from tests.unit.adapters import adapter_tensors, write
from tests.unit.image_encoders import ENCODERS, hugging_face_encoder, hugging_face_tensors
from tests.unit.unets import unet_like
from tests.units import Unit

CPU = torch.device("cpu")
WIDTH, VECTOR = ENCODERS["H"][0], ENCODERS["H"][3]


def picture(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    return reference_input(Picture(Image.fromarray(noise), f"hash of {seed}"), Unit())


def encode(inputs, encoder_file, device, dtype, hidden, **settings):
    return ImageEmbeds(device, dtype, **settings).encode(inputs, encoder_file, hidden)


def features_of(inputs, negative, kind, encoder_file):
    return ImageEmbeds(CPU, torch.float32).features(inputs, negative, kind, encoder_file)


def image_vector(encoder_input, encoder_file, device=CPU, dtype=torch.float32):
    (vector,) = encode([encoder_input], encoder_file, device, dtype, hidden=False)
    return vector


def hidden_states(encoder_input, encoder_file, device=CPU, dtype=torch.float32):
    return encode([encoder_input, ZERO_IMAGE], encoder_file, device, dtype, hidden=True)


@pytest.fixture
def encoder_file(tmp_path):
    write(tmp_path / "t.safetensors", hugging_face_tensors(hugging_face_encoder("H")))
    (found,) = scan([tmp_path]).image_encoders
    return found


@pytest.fixture
def batches(monkeypatch):
    """Shapes of what went through encoders, one entry for each run; the memory starts empty."""
    monkeypatch.setattr(embedding.cache(), "tensors", type(embedding.cache().tensors)())
    shapes = []
    real = embedding.load_image_encoder

    def load(*arguments):
        encoder = real(*arguments)
        encoder.register_forward_pre_hook(lambda module, given: shapes.append(given[0].shape[0]))
        return encoder

    monkeypatch.setattr(embedding, "load_image_encoder", load)
    with torch.no_grad():
        yield shapes


def test_a_picture_seen_before_costs_no_encoder(encoder_file, batches):
    first, again, other = (
        image_vector(picture(seed), encoder_file, CPU, torch.float32) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert batches == [1, 1]


def test_room_is_asked_for_before_an_encoder_is_loaded_and_only_then(encoder_file, batches):
    asked = []

    class Memory(Unmanaged):
        def make_room(self, size):
            assert batches == []  # nothing has run yet
            asked.append(size)

    whole = sum(x.numel() for x in hugging_face_encoder("H").parameters())
    for _ in range(2):
        encode([picture(1)], encoder_file, CPU, torch.float16, False, memory=Memory())
    assert asked == [2 * whole]
    asked.clear()
    batches.clear()
    encode([picture(1)], encoder_file, CPU, torch.float32, True, memory=Memory())
    assert 0 < asked[0] < 4 * whole  # without the last block and the projection


def test_weights_may_be_moved_inside_and_outside_of_inference_mode(encoder_file):
    """As a WebUI does that makes room; a change of type moves them as one of device does."""
    with torch.inference_mode():
        encoder = embedding.load_image_encoder(
            encoder_file.path, encoder_file.kind, CPU, torch.float32
        )
    for mode in (torch.no_grad, torch.inference_mode, torch.no_grad):
        with mode():
            encoder.to(torch.float64).to(torch.float32)
    with torch.inference_mode():
        assert encoder(picture(1).pixels(224)).isfinite().all()


class Counting(Unmanaged):
    """Tells, in order, what is done with entries; may fail to bring an encoder back."""

    def __init__(self, fails=False):
        self.told = []
        self._fails = fails

    def enter(self, encoder, device):
        self.told.append("enter")
        return self

    def bring_back(self):
        self.told.append("bring back")
        if self._fails:
            raise RuntimeError("cuda:0: out of memory")

    def take_out(self):
        self.told.append("take out")


def test_an_encoder_is_counted_for_as_long_as_it_is_held(encoder_file, batches):
    memory = Counting()
    for seed, keep in ((1, True), (2, True), (3, False), (4, False)):
        encode([picture(seed)], encoder_file, CPU, torch.float32, False, keep=keep, memory=memory)
    kept, at_once = ["bring back"] * 3, ["bring back", "take out"]
    assert memory.told == ["enter", *kept, "take out", "enter", *at_once]
    assert not embedding.cache().encoders


def test_an_encoder_that_cannot_be_brought_back_is_not_counted(encoder_file, batches):
    memory = Counting(fails=True)
    with pytest.raises(InstantStyleError, match="not enough memory"):
        encode([picture(1)], encoder_file, CPU, torch.float32, False, memory=memory)
    assert memory.told == ["enter", "bring back", "take out"]


def test_reference_and_zero_image_are_one_batch_and_the_zero_image_is_remembered(
    encoder_file, batches
):
    first, zero = hidden_states(picture(1), encoder_file, CPU, torch.float32)
    assert batches == [2]
    second, zero_again = hidden_states(picture(2), encoder_file, CPU, torch.float32)
    assert batches == [2, 1]
    hidden_states(picture(1), encoder_file, CPU, torch.float32)
    assert batches == [2, 1]
    assert torch.equal(zero, zero_again) and not torch.equal(first, second)
    oracle = hugging_face_encoder("H")(torch.zeros(1, 3, 224, 224), output_hidden_states=True)
    torch.testing.assert_close(zero[None], oracle.hidden_states[-2], atol=1e-5, rtol=1e-5)
    assert zero.dtype == torch.float32 and zero.shape == (257, WIDTH)


def test_vectors_and_hidden_states_are_told_apart(encoder_file, batches):
    linear, plus = unet_like(SD15), unet_like(SD15)
    write(encoder_file.path.parent / "a.safetensors", adapter_tensors(linear, VECTOR))
    write(
        encoder_file.path.parent / "b.safetensors", adapter_tensors(plus, WIDTH, projection="plus")
    )
    a, b = scan([encoder_file.path.parent]).adapters
    vectors = features_of([picture(1)], None, a.kind, encoder_file)
    hidden = features_of([picture(1)], None, b.kind, encoder_file)
    assert vectors.shape == (2, VECTOR) and hidden.shape == (2, 257, WIDTH)
    assert batches == [1, 2]
    # A linear adapter saw the zero vector where the picture was dropped, not the zero image's.
    assert not vectors[1].any() and hidden[1].any()


def test_negative_rows_get_their_own_picture_where_there_is_one(encoder_file, batches):
    write(encoder_file.path.parent / "a.safetensors", adapter_tensors(unet_like(SD15), VECTOR))
    (adapter,) = scan([encoder_file.path.parent]).adapters
    found = features_of([picture(1)], picture(2), adapter.kind, encoder_file)
    assert torch.equal(found[1], image_vector(picture(2), encoder_file))
    assert batches == [2]


def test_several_views_are_one_feature_their_mean(encoder_file, batches):
    views = torch.cat([picture(seed).pixels(224) for seed in range(10)])
    found = image_vector(EncoderInput("views", lambda size: views), encoder_file)
    assert batches == [8, 2]  # never all at once
    singles = torch.stack([image_vector(picture(seed), encoder_file) for seed in range(10)])
    torch.testing.assert_close(found, singles.mean(dim=0), atol=1e-5, rtol=1e-5)


def test_memory_is_bounded_in_bytes_and_what_was_used_last_stays(
    encoder_file, batches, monkeypatch
):
    one = 257 * WIDTH * 4
    monkeypatch.setattr(embedding, "CAPACITY", 3 * one)
    for seed in (1, 2, 3, 4):
        hidden_states(picture(seed), encoder_file, CPU, torch.float32)
        assert sum(t.numel() * 4 for t in embedding.cache().tensors.values()) <= 3 * one
    assert batches == [2, 1, 1, 1]
    hidden_states(picture(4), encoder_file, CPU, torch.float32)
    assert batches == [2, 1, 1, 1]  # the zero image was used each time, so it stayed
    hidden_states(picture(1), encoder_file, CPU, torch.float32)
    assert batches == [2, 1, 1, 1, 1]
    assert all(t.untyped_storage().nbytes() == one for t in embedding.cache().tensors.values())


def test_after_a_restart_a_known_picture_costs_no_encoder(encoder_file, batches, tmp_path):
    files = EmbeddingFiles(BoundedFolder(tmp_path / "cache", ".safetensors", 10**8))
    given = [picture(1), picture(2)]
    first = encode(given, encoder_file, CPU, torch.float32, hidden=True, files=files)
    assert batches == [2]
    embedding.cache().tensors.clear()
    again = encode(given, encoder_file, CPU, torch.float32, hidden=True, files=files)
    assert batches == [2] and all(map(torch.equal, first, again))
    (tmp_path / "cache").rename(tmp_path / "gone")
    encode(given, encoder_file, CPU, torch.float32, hidden=True, files=files)
    assert batches == [2]  # what was read is remembered
    encode(given, encoder_file, CPU, torch.float32, hidden=False, files=files)
    encode(given, encoder_file, CPU, torch.float64, hidden=False, files=files)
    assert batches == [2, 2, 2]


def test_a_picture_known_in_part_costs_the_rest(encoder_file, batches, tmp_path):
    files = EmbeddingFiles(BoundedFolder(tmp_path / "cache", ".safetensors", 10**8))
    encode([picture(1)], encoder_file, CPU, torch.float32, hidden=False, files=files)
    embedding.cache().tensors.clear()
    both = encode(
        [picture(1), picture(2)], encoder_file, CPU, torch.float32, hidden=False, files=files
    )
    assert batches == [1, 1]
    embedding.cache().tensors.clear()
    together = encode([picture(1), picture(2)], encoder_file, CPU, torch.float32, hidden=False)
    torch.testing.assert_close(both, together)


def test_an_encoder_that_was_replaced_is_read_anew(encoder_file, batches):
    first = image_vector(picture(1), encoder_file, CPU, torch.float32)
    write(encoder_file.path, hugging_face_tensors(hugging_face_encoder("H")) | {
        "visual_projection.weight": torch.ones(VECTOR, WIDTH)
    })  # fmt: skip
    (replaced,) = scan([encoder_file.path.parent]).image_encoders
    assert not torch.equal(first, image_vector(picture(1), replaced, CPU, torch.float32))
    assert batches == [1, 1]


def test_without_memory_on_the_device_the_encoder_runs_on_the_cpu_once_and_says_so(
    encoder_file, monkeypatch
):
    monkeypatch.setattr(embedding.cache(), "tensors", type(embedding.cache().tensors)())
    expected = encode([picture(1)], encoder_file, CPU, torch.float32, hidden=False)
    embedding.cache().tensors.clear()
    load, tried = embedding.load_image_encoder, []

    def full(path, kind, device, dtype, *rest):
        tried.append((device.type, dtype))
        if device.type != "cpu":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return load(path, kind, device, dtype, *rest)

    monkeypatch.setattr(embedding, "load_image_encoder", full)
    said = []
    cuda = torch.device("cuda")
    found = encode(
        [picture(1)], encoder_file, cuda, torch.float16, hidden=False, notify=said.append
    )
    assert tried == [("cuda", torch.float16), ("cpu", torch.float32)]
    assert torch.equal(found[0], expected[0])
    assert len(said) == 1 and "it ran on the CPU" in said[0]


def test_without_memory_anywhere_there_is_one_sentence(encoder_file, monkeypatch):
    def full(*args):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(embedding.cache(), "tensors", type(embedding.cache().tensors)())
    monkeypatch.setattr(embedding, "load_image_encoder", full)
    with pytest.raises(InstantStyleError, match="not enough memory"):
        encode([picture(1)], encoder_file, CPU, torch.float32, hidden=False)

    def broken(*args):
        raise RuntimeError("something else")

    monkeypatch.setattr(embedding, "load_image_encoder", broken)
    with pytest.raises(RuntimeError, match="something else"):
        encode([picture(1)], encoder_file, CPU, torch.float32, hidden=False)
