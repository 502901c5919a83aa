"""CLIP embeddings of references, computed once and remembered by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import torch

from lib_instantstyle.clip.device_memory import UNMANAGED, DeviceMemory, Entry, or_on_cpu
from lib_instantstyle.clip.image_encoder import ImageEncoder, load_image_encoder
from lib_instantstyle.files.regular_file import reading
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.adapter_kind import AdapterKind
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.references.vector_files import EmbeddingFiles, Key
from lib_instantstyle.references.views import ZERO_IMAGE, EncoderInput
from lib_instantstyle.session import SESSION
from lib_instantstyle.unet.number_range import check_range, largest_of

CAPACITY = 64 * 1024 * 1024  # bytes: an image vector has 5 kB, the hidden states of ViT-H 1.3 MB
BATCH = 8  # views that the encoder sees at once: many references must not need much memory


class _KeptEncoder(NamedTuple):
    """An encoder on its device."""

    encoder: ImageEncoder
    entry: Entry


class EmbeddingCache:
    """The embeddings of one process, and the encoder that stays between generations."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.tensors: OrderedDict[Key, torch.Tensor] = OrderedDict()  # used last at the end
        self.encoders: dict[Key, _KeptEncoder] = {}  # at most one, where the user asks for it

    def recall(self, keys: Sequence[Key]) -> dict[Key, torch.Tensor]:
        """Those of `keys` that are in memory."""
        with self.lock:
            found = {key: self.tensors[key] for key in keys if key in self.tensors}
            for key in found:
                self.tensors.move_to_end(key)
        return found

    def remember(self, tensors: Mapping[Key, torch.Tensor]) -> None:
        """Keep `tensors`; the ones used longest ago go until CAPACITY bytes are left."""
        with self.lock:
            self.tensors.update(tensors)
            held = sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())
            while held > CAPACITY and len(self.tensors) > 1:
                _, oldest = self.tensors.popitem(last=False)
                held -= oldest.numel() * oldest.element_size()

    def release_encoder(self) -> None:
        """Free the encoder that was left on its device."""
        for kept in self.encoders.values():
            kept.entry.take_out()
        self.encoders.clear()


@dataclass(frozen=True)
class ImageEmbeds:
    """What image encoders make of pictures, on one device and in one precision.

    keep: leave the encoder on its device for the next picture; otherwise none stays. memory: of the
    device. files: where embeddings outlive the process. notify: called with a sentence where the
    encoder had to run on the CPU.
    """

    device: torch.device
    dtype: torch.dtype
    keep: bool = False
    memory: DeviceMemory = UNMANAGED
    files: EmbeddingFiles | None = None
    notify: Callable[[str], None] = print

    def features(
        self,
        inputs: Sequence[EncoderInput],
        negative: EncoderInput | None,
        kind: AdapterKind,
        image_encoder: ImageEncoderFile,
    ) -> torch.Tensor:
        """What an adapter of `kind` takes of `inputs` and, last, of what negative-prompt rows get.

        [n + 1, E] or [n + 1, N, W]: the argument of adapter.image_tokens. negative: None for what
        the adapter saw in training where the picture was dropped; a linear adapter saw the zero
        vector there, one that takes hidden states the zero image's.
        """
        if not self.keep:
            cache().release_encoder()
        hidden = kind.projection.takes_hidden_states
        if negative is None and hidden:
            negative = ZERO_IMAGE
        features = self.encode([*inputs, *([negative] if negative else [])], image_encoder, hidden)
        if negative is None:
            features.append(torch.zeros_like(features[0]))
        return torch.stack(features)

    def encode(
        self, inputs: Sequence[EncoderInput], image_encoder: ImageEncoderFile, hidden: bool
    ) -> list[torch.Tensor]:
        """One tensor for each input, float32, on the CPU; the encoder runs at most once.

        The encoder is built for what was not seen before, and freed at once unless it is kept.

        hidden: hidden states [N, W] as they leave the last block but one, N being 257 at 224
        pixels, instead of image vectors [E].
        """
        source = _source(image_encoder, self.dtype, hidden)
        keys: list[Key] = [(each.key, *source) for each in inputs]
        found = cache().recall(keys)
        if self.files is not None:
            read = _read([key for key in keys if key not in found], self.files)
            found.update(read)
            cache().remember(read)
        missing = [i for i, key in enumerate(keys) if key not in found]
        if missing:
            views = [inputs[i].pixels(image_encoder.kind.image_size) for i in missing]
            encoded = self._run(torch.cat(views), image_encoder, hidden)
            # Means are tensors of their own: a view would keep the whole batch alive for as long
            # as one of it is remembered.
            parts = torch.split(encoded, [len(of_one) for of_one in views])
            found.update({keys[i]: part.mean(dim=0) for i, part in zip(missing, parts)})
            cache().remember({keys[i]: found[keys[i]] for i in missing})
            if self.files is not None:
                for i in missing:
                    self.files.put(keys[i], found[keys[i]])
        return [found[key] for key in keys]

    def _run(
        self, pixels: torch.Tensor, image_encoder: ImageEncoderFile, hidden: bool
    ) -> torch.Tensor:
        """pixels [n, 3, size, size] -> [n, E] or [n, N, W], float32, on the CPU."""
        path, kind = image_encoder.path, image_encoder.kind
        source = _source(image_encoder, self.dtype, hidden)

        def run(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
            kept = cache().encoders.pop((source, device), None)
            if kept is None:
                cache().release_encoder()  # before another is built: two would not fit everywhere
                encoder = load_image_encoder(
                    path, kind, device, dtype, hidden, self.memory.make_room
                )
                kept = _KeptEncoder(encoder, self.memory.enter(encoder, device))
            try:
                kept.entry.bring_back()
                batches = torch.split(pixels.to(device=device, dtype=dtype), BATCH)
                found = torch.cat([kept.encoder(batch).float().cpu() for batch in batches])
                check_range(largest_of(found), path.name, dtype)
                return found
            finally:
                if self.keep:
                    cache().encoders[source, device] = kept
                else:
                    kept.entry.take_out()

        what = f"the image encoder {image_encoder.name}"
        return or_on_cpu(run, self.device, self.dtype, what, self.notify)


def cache() -> EmbeddingCache:
    """That of this process."""
    return SESSION.of(EmbeddingCache)


def image_embeds(context: Context, keep: bool = False, on_disk: bool = True) -> ImageEmbeds:
    """Image encoders run as the WebUI's settings want it.

    keep: leave the encoder on its device whatever these say. on_disk: look for embeddings there,
    and keep new ones.
    """
    host = context.host
    folder = host.embeddings_folder() if on_disk else None
    return ImageEmbeds(
        host.device(),
        host.encoder_dtype(),
        keep or host.keeps_encoder(),
        host,
        None if folder is None else EmbeddingFiles(folder),
        context.notify,
    )


def is_remembered(
    encoder_input: EncoderInput, image_encoder: ImageEncoderFile, hidden: bool, context: Context
) -> bool:
    """Whether the embedding of `encoder_input` is in memory or on disk."""
    embeds = image_embeds(context)
    keys: list[Key] = [(encoder_input.key, *_source(image_encoder, embeds.dtype, hidden))]
    return bool(cache().recall(keys) or (embeds.files is not None and _read(keys, embeds.files)))


def _source(
    image_encoder: ImageEncoderFile, dtype: torch.dtype, hidden: bool
) -> tuple[object, ...]:
    """What tells the features of one encoder from another's."""
    with reading(image_encoder.path):
        status = image_encoder.path.stat()
    return (str(image_encoder.path), status.st_size, status.st_mtime_ns, dtype, hidden)


def _read(keys: Sequence[Key], files: EmbeddingFiles) -> dict[Key, torch.Tensor]:
    read = {key: files.get(key) for key in keys}
    return {key: tensor for key, tensor in read.items() if tensor is not None}
