"""Text vectors by a CLIP text encoder from the model folders."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

import torch

from lib_instantstyle.clip.device_memory import or_on_cpu
from lib_instantstyle.clip.text_encoder import check_length, load_text_encoder
from lib_instantstyle.clip.transformer import MakeRoom, take_room
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensors import check_range, largest_of
from lib_instantstyle.models.catalog import TextEncoderFile
from lib_instantstyle.session import SESSION

BATCH = 64  # texts
CAPACITY = 512  # vectors of 5 kB


class TextVectorCache:
    """Text vectors [E] by encoder identity and text, CAPACITY of them at most."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._vectors: OrderedDict[tuple[str, str], torch.Tensor] = OrderedDict()

    def recall(self, identity: str, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """The cached vectors of `texts`, by text."""
        with self._lock:
            return {t: self._vectors[identity, t] for t in texts if (identity, t) in self._vectors}

    def remember(self, identity: str, vectors: Mapping[str, torch.Tensor]) -> None:
        """Cache `vectors`, dropping the oldest."""
        with self._lock:
            for text in [*vectors][:CAPACITY]:
                self._vectors[identity, text] = vectors[text]
            while len(self._vectors) > CAPACITY:
                self._vectors.popitem(last=False)


@dataclass(frozen=True)
class FileTextEncoder:
    """A text encoder from a file. It is loaded for texts that are not cached, and freed at once.

    token_ids: from texts to CLIP's token ids, or to None if the checkpoint has no CLIP tokenizer.
    notify: called with a sentence if the encoder had to run on the CPU.
    """

    file: TextEncoderFile
    token_ids: Callable[[Sequence[str]], list[list[int]] | None]
    device: torch.device
    dtype: torch.dtype
    make_room: MakeRoom = take_room
    notify: Callable[[str], None] = print

    @property
    def title(self) -> str:
        return f"text encoder {self.file.name}"

    @property
    def identity(self) -> str:
        return " ".join(map(str, self.file.version()))

    @property
    def width(self) -> int:
        """E, how many numbers a vector has."""
        return self.file.kind.embedding_width

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> torch.Tensor:
        """See TextEmbedder in hosts/__init__.py."""
        identity = self.identity
        known = SESSION.of(TextVectorCache)
        found = known.recall(identity, texts)
        missing = [text for text in texts if text not in found]
        if missing:
            new = dict(zip(missing, self._encode(missing, progress)))
            known.remember(identity, new)
            found.update(new)
        return torch.stack([found[text] for text in texts])

    def _encode(
        self, texts: Sequence[str], progress: Callable[[int], None] | None
    ) -> list[torch.Tensor]:
        ids = self.token_ids(texts)
        if ids is None:
            raise InstantStyleError(
                f"{self.title} cannot be used: the loaded checkpoint brings no CLIP tokenizer; "
                "load one of SD1.5, SD2 or SDXL."
            )
        for text, tokens in zip(texts, ids):
            check_length(text, tokens)

        @torch.no_grad()
        def run(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
            encoder = load_text_encoder(
                self.file.path, self.file.kind, device, dtype, self.make_room
            )
            found: list[torch.Tensor] = []
            for start in range(0, len(ids), BATCH):
                found.append(encoder.encode(ids[start : start + BATCH]))
                if progress:
                    progress(min(start + BATCH, len(ids)))
            vectors = torch.cat(found)
            check_range(largest_of(vectors), self.file.path.name, dtype)
            return vectors

        rows = or_on_cpu(run, self.device, self.dtype, self.title, self.notify)
        return [row.clone() for row in rows]  # a view would keep the whole batch in memory
