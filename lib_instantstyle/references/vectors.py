"""CLIP image embeds of references, computed once and cached by the content of the picture."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from lib_instantstyle.clip.device_memory import UNMANAGED, DeviceMemory, Entry, or_on_cpu
from lib_instantstyle.clip.image_encoder import ImageEncoder, load_image_encoder
from lib_instantstyle.files.folder import CACHE_TAG
from lib_instantstyle.files.own_files import BoundedFolder, shown_folder
from lib_instantstyle.files.tensors import check_range, largest_of
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.adapter_kind import AdapterKind
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.references.views import ZERO_IMAGE, EncoderInput
from lib_instantstyle.session import SESSION
from lib_instantstyle.stages import ENCODER_LOAD, ENCODER_RUN

# https://bford.info/cachedir/: backup programs pass such a folder over, and so does catalog.scan.
_TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Made by InstantStyle; may be deleted.\n"
_EMBEDDING, _CHECK = "embedding", "check"

Key = tuple[object, ...]  # everything that decides the numbers, with a repr that says it
CAPACITY = 64 * 1024 * 1024  # bytes: an image vector has 5 kB, the hidden states of ViT-H 1.3 MB
BATCH = 8  # crops that the encoder is given at once, which bounds the memory for many references


class _KeptEncoder(NamedTuple):
    """An encoder that stays on its device."""

    encoder: ImageEncoder
    entry: Entry


class EmbeddingCache:
    """The image embeds in memory, and the encoder that stays between generations."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.tensors: OrderedDict[Key, torch.Tensor] = OrderedDict()  # used last at the end
        self.encoders: dict[Key, _KeptEncoder] = {}  # at most one, where the user asks for it

    def recall(self, keys: Sequence[Key]) -> dict[Key, torch.Tensor]:
        """The cached tensors of `keys`."""
        with self.lock:
            found = {key: self.tensors[key] for key in keys if key in self.tensors}
            for key in found:
                self.tensors.move_to_end(key)
        return found

    def remember(self, tensors: Mapping[Key, torch.Tensor]) -> None:
        """Cache `tensors`, dropping the least recently used ones above CAPACITY bytes."""
        with self.lock:
            self.tensors.update(tensors)
            held = sum(tensor.numel() * tensor.element_size() for tensor in self.tensors.values())
            while held > CAPACITY and len(self.tensors) > 1:
                _, oldest = self.tensors.popitem(last=False)
                held -= oldest.numel() * oldest.element_size()

    def release_encoder(self) -> None:
        """Free the encoder that stayed on its device."""
        for kept in self.encoders.values():
            kept.entry.take_out()
        self.encoders.clear()


@dataclass(frozen=True)
class ImageEmbeds:
    """Image encoders run on one device and in one precision, with a cache.

    keep: whether the encoder stays on its device for the next picture. memory: who manages that of
    the device. files: the image embeds on disk. notify: called with a sentence if an encoder had
    to run on the CPU.
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
        """The image embeds that an adapter of `kind` takes: of `inputs`, then of negative rows.

        [n + 1, E] or [n + 1, N, W], the argument of projections.image_tokens. negative: the input
        of negative-prompt rows; None for what the adapter was given in training when the picture
        was dropped: the zero vector (linear adapters), or the hidden states of the zero image.
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

        The encoder is loaded for inputs that are not cached, and freed at once unless it is kept.

        hidden: give hidden states [N, W], the output of the last block but one (N = 257 at 224
        pixels), instead of image vectors [E].
        """
        source = _source(image_encoder, self.dtype, hidden)
        keys: list[Key] = [(each.key, *source) for each in inputs]
        found = cache().recall(keys)
        if self.files is not None:
            read = _read([key for key in keys if key not in found], self.files)
            found.update(read)
            cache().remember(read)
        # Of equal inputs the first is encoded.
        missing = [i for i, key in enumerate(keys) if key not in found and key not in keys[:i]]
        if missing:
            with ENCODER_RUN:
                views = [inputs[i].pixels(image_encoder.kind.image_size) for i in missing]
            encoded = self._run(torch.cat(views), image_encoder, hidden)
            # The mean is a tensor of its own; a view would keep the whole batch in memory.
            parts = torch.split(encoded, [len(crops) for crops in views])
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
                with ENCODER_LOAD:
                    encoder = load_image_encoder(
                        path, kind, device, dtype, hidden, self.memory.make_room
                    )
                    kept = _KeptEncoder(encoder, self.memory.enter(encoder, device))
            try:
                with ENCODER_RUN:
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

        title = f"the image encoder {image_encoder.name}"
        return or_on_cpu(run, self.device, self.dtype, title, self.notify)


def cache() -> EmbeddingCache:
    """The cache of this process."""
    return SESSION.of(EmbeddingCache)


def image_embeds(context: Context, keep: bool = False, on_disk: bool = True) -> ImageEmbeds:
    """Image encoders run as the WebUI's settings say.

    keep: keep the encoder on its device whatever they say. on_disk: read image embeds from disk,
    and write new ones.
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


def remembered(
    encoder_input: EncoderInput, image_encoder: ImageEncoderFile, hidden: bool, context: Context
) -> torch.Tensor | None:
    """The image embeds of `encoder_input` if they are in memory or on disk, else None."""
    embeds = image_embeds(context)
    key: Key = (encoder_input.key, *_source(image_encoder, embeds.dtype, hidden))
    found = cache().recall([key])
    if not found and embeds.files is not None:
        found = _read([key], embeds.files)
        cache().remember(found)
    return found.get(key)


def is_kept(image_encoder: ImageEncoderFile, hidden: bool, context: Context) -> bool:
    """Whether the encoder stays on its device, so that nothing is read to run it."""
    embeds = image_embeds(context)
    return (_source(image_encoder, embeds.dtype, hidden), embeds.device) in cache().encoders


def _source(
    image_encoder: ImageEncoderFile, dtype: torch.dtype, hidden: bool
) -> tuple[object, ...]:
    """The part of a key that names the encoder, its precision and its output."""
    return (*image_encoder.version(), dtype, hidden)


def _read(keys: Sequence[Key], files: EmbeddingFiles) -> dict[Key, torch.Tensor]:
    read = {key: files.get(key) for key in keys}
    return {key: tensor for key, tensor in read.items() if tensor is not None}


class EmbeddingFiles:
    """One folder; safe for several processes, and nothing in it is needed.

    problem: why the folder cannot be written to, a sentence for the user; empty if it can.
    """

    def __init__(self, folder: BoundedFolder) -> None:
        self.problem = ""
        self._files = folder

    def get(self, key: Key) -> torch.Tensor | None:
        """What was put under `key`, in float32; None, and no such file any more, if damaged."""
        data = self._files.read(_digest(key))
        if data is None:
            return None
        try:
            tensors = load(data)
            embedding: torch.Tensor = tensors[_EMBEDDING]
            if bytes(tensors[_CHECK].tolist()) == _check(key, embedding):
                return embedding.float()
        except (SafetensorError, KeyError, TypeError, ValueError):
            pass
        self._files.remove(_digest(key))
        return None

    def put(self, key: Key, tensor: torch.Tensor) -> None:
        """Write the float32 `tensor` [...]; in 16 bits where that loses nothing."""
        half = tensor.half()
        stored = (half if torch.equal(half.float(), tensor) else tensor).contiguous()
        check = torch.tensor(list(_check(key, stored)), dtype=torch.uint8)
        try:
            self._files.write(_digest(key), save({_EMBEDDING: stored, _CHECK: check}))
            tag = self._files.path / CACHE_TAG
            if not tag.exists():
                tag.write_bytes(_TAG)
        except OSError as error:
            self.problem = (
                f"embeddings cannot be kept in {shown_folder(self._files.path)} "
                f"({error.strerror}); references are encoded again after a restart."
            )


def _digest(key: Key) -> str:
    return hashlib.sha256(repr(key).encode()).hexdigest()


def _check(key: Key, tensor: torch.Tensor) -> bytes:
    """Told by the content too: a power cut may leave a file of the right size full of zeros."""
    return hashlib.sha256(repr(key).encode() + tensor.numpy().tobytes()).digest()
