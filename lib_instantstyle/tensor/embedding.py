"""What CLIP makes of references, computed once and remembered by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

import torch

from lib_instantstyle.pure.adapter_kind import AdapterKind
from lib_instantstyle.pure.catalog import ImageEncoderFile
from lib_instantstyle.tensor.device_memory import UNMANAGED, DeviceMemory, Entry
from lib_instantstyle.tensor.embedding_files import EmbeddingFiles, Key
from lib_instantstyle.tensor.encoder_input import ZERO_IMAGE, EncoderInput
from lib_instantstyle.tensor.image_encoder import ImageEncoder, load_image_encoder
from lib_instantstyle.tensor.memory import or_on_cpu

CAPACITY = 64 * 1024 * 1024  # bytes: an image vector has 5 kB, the hidden states of ViT-H 1.3 MB
BATCH = 8  # views that the encoder sees at once: many references must not need much memory


class _Held(NamedTuple):
    """An encoder on its device."""

    encoder: ImageEncoder
    entry: Entry


_lock = Lock()
_remembered: OrderedDict[Key, torch.Tensor] = OrderedDict()
_kept: dict[Key, _Held] = {}  # at most one, where the user asks for it


def features_of(
    inputs: Sequence[EncoderInput],
    negative: EncoderInput | None,
    kind: AdapterKind,
    image_encoder: ImageEncoderFile,
    device: torch.device,
    dtype: torch.dtype,
    keep: bool = False,
    memory: DeviceMemory = UNMANAGED,
    files: EmbeddingFiles | None = None,
    say: Callable[[str], None] = print,
) -> torch.Tensor:
    """What an adapter of `kind` takes of `inputs` and, last, of what negative-prompt rows get.

    [n + 1, E] or [n + 1, N, W]: the argument of adapter.image_tokens. negative: None for what the
    adapter saw in training where the picture was dropped; a linear adapter saw the zero vector
    there, one that takes hidden states the zero image's. keep: leave the encoder on its device for
    the next picture; otherwise none stays. memory: of the device. files: where embeddings outlive
    the process. say: told where the encoder had to run on the CPU.
    """
    if not keep:
        let_go()
    hidden = kind.projection.takes_hidden_states
    if negative is None and hidden:
        negative = ZERO_IMAGE
    seen = [*inputs, *([negative] if negative else [])]
    features = encode(seen, image_encoder, device, dtype, hidden, keep, memory, files, say)
    if negative is None:
        features.append(torch.zeros_like(features[0]))
    return torch.stack(features)


def encode(
    inputs: Sequence[EncoderInput],
    image_encoder: ImageEncoderFile,
    device: torch.device,
    dtype: torch.dtype,
    hidden: bool,
    keep: bool = False,
    memory: DeviceMemory = UNMANAGED,
    files: EmbeddingFiles | None = None,
    say: Callable[[str], None] = print,
) -> list[torch.Tensor]:
    """One tensor for each encoder_input, float32, on the CPU; the encoder runs at most once.

    The encoder is built for what was not seen before, and let go of at once unless it is kept.

    hidden: hidden states [N, W] as they leave the last block but one, N being 257 at 224 pixels,
    instead of image vectors [E].
    """
    source = _source(image_encoder, dtype, hidden)
    keys: list[Key] = [(encoder_input.key, *source) for encoder_input in inputs]
    found = _recall(keys)
    if files is not None:
        read = _read([key for key in keys if key not in found], files)
        found.update(read)
        _remember(read)
    missing = [i for i, key in enumerate(keys) if key not in found]
    if missing:
        views = [inputs[i].pixels(image_encoder.kind.image_size) for i in missing]
        pixels = torch.cat(views)

        def run(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
            held = _kept.pop((source, device), None)
            if held is None:
                let_go()  # before another is built: two would not fit everywhere
                encoder = load_image_encoder(
                    image_encoder.path, image_encoder.kind, device, dtype, hidden, memory.make_room
                )
                held = _Held(encoder, memory.enter(encoder, device))
            try:
                held.entry.bring_back()
                batches = torch.split(pixels.to(device=device, dtype=dtype), BATCH)
                return torch.cat([held.encoder(batch).float().cpu() for batch in batches])
            finally:
                if keep:
                    _kept[source, device] = held
                else:
                    held.entry.take_out()

        encoded = or_on_cpu(run, device, dtype, f"the image encoder {image_encoder.name}", say)
        # Means are tensors of their own: a view would keep the whole batch alive for as long as
        # one of it is remembered.
        parts = torch.split(encoded, [len(of_one) for of_one in views])
        found.update({keys[i]: part.mean(dim=0) for i, part in zip(missing, parts)})
        _remember({keys[i]: found[keys[i]] for i in missing})
        if files is not None:
            for i in missing:
                files.put(keys[i], found[keys[i]])
    return [found[key] for key in keys]


def is_remembered(
    encoder_input: EncoderInput,
    image_encoder: ImageEncoderFile,
    dtype: torch.dtype,
    hidden: bool,
    files: EmbeddingFiles | None = None,
) -> bool:
    """Whether `encode` would answer for `encoder_input` without an encoder."""
    keys: list[Key] = [(encoder_input.key, *_source(image_encoder, dtype, hidden))]
    return bool(_recall(keys) or (files is not None and _read(keys, files)))


def _source(
    image_encoder: ImageEncoderFile, dtype: torch.dtype, hidden: bool
) -> tuple[object, ...]:
    """What tells the features of one encoder from another's."""
    status = image_encoder.path.stat()
    return (str(image_encoder.path), status.st_size, status.st_mtime_ns, dtype, hidden)


def let_go() -> None:
    """Free the encoder that was left on its device."""
    for held in _kept.values():
        held.entry.take_out()
    _kept.clear()


def _read(keys: Sequence[Key], files: EmbeddingFiles) -> dict[Key, torch.Tensor]:
    read = {key: files.get(key) for key in keys}
    return {key: tensor for key, tensor in read.items() if tensor is not None}


def _recall(keys: Sequence[Key]) -> dict[Key, torch.Tensor]:
    with _lock:
        found = {key: _remembered[key] for key in keys if key in _remembered}
        for key in found:
            _remembered.move_to_end(key)
    return found


def _remember(tensors: dict[Key, torch.Tensor]) -> None:
    with _lock:
        _remembered.update(tensors)
        held = sum(tensor.numel() * tensor.element_size() for tensor in _remembered.values())
        while held > CAPACITY and len(_remembered) > 1:
            _, oldest = _remembered.popitem(last=False)
            held -= oldest.numel() * oldest.element_size()
