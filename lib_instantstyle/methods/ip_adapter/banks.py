"""Image tokens, keys and values of an adapter, kept by the image embeds that they were made of.

A picture with the same references and blocks as an earlier one reads nothing of the adapter's file.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

import torch

from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.models.catalog import AdapterFile
from lib_instantstyle.session import SESSION

Bank = tuple[torch.Tensor, torch.Tensor]  # keys and values of a layer, each [S, T, h]
Key = tuple[object, ...]  # everything that decides the numbers

# Bytes: two rows of a linear adapter have 1 MB in SDXL's style block, 6 MB in all blocks; of a plus
# adapter four times as much.
CAPACITY = 64 * 1024 * 1024


@dataclass
class _Kept:
    """What one adapter made of some image embeds; on the CPU."""

    tokens: torch.Tensor
    banks: dict[int, Bank] = field(default_factory=dict)  # by adapter number

    @property
    def bytes(self) -> int:
        held = [self.tokens, *(each for bank in self.banks.values() for each in bank)]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)


class BankCache:
    """What was made last, in memory. Nobody changes a tensor in it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()  # used last at the end

    def recall(self, key: Key) -> _Kept | None:
        """What was kept under `key`."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def remember(self, key: Key, kept: _Kept) -> None:
        """Keep it, dropping what was used longest ago above CAPACITY bytes."""
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            held = sum(each.bytes for each in self._kept.values())
            while held > CAPACITY:
                _, oldest = self._kept.popitem(last=False)
                held -= oldest.bytes

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._kept.clear()


def banks(
    adapter: AdapterFile,
    wanted: Sequence[tuple[Sequence[int], torch.Tensor]],
    device: torch.device,
) -> list[Mapping[int, Bank]]:
    """Keys and values, float32, on `device`, by adapter number, for each entry of `wanted`.

    wanted: numbers of layers, and image embeds [S, ...] of one unit. What is not kept is read from
    the file once for all of them. Raises InstantStyleError as `image_tokens` and `keys_and_values`
    do.
    """
    cache = SESSION.of(BankCache)
    keys = [_key(adapter, embeds, device) for _, embeds in wanted]
    kept = {key: found for key in keys if (found := cache.recall(key)) is not None}
    new = {key: embeds for key, (_, embeds) in zip(keys, wanted) if key not in kept}
    if new:
        sizes = [len(embeds) for embeds in new.values()]
        tokens = image_tokens(adapter.path, adapter.kind, torch.cat([*new.values()]), device, sizes)
        kept |= {key: _Kept(part) for key, part in zip(new, _apart(tokens, sizes))}
    _add_layers(adapter, [(kept[key], numbers) for key, (numbers, _) in zip(keys, wanted)], device)
    for key in kept:
        cache.remember(key, kept[key])
    return [_on_device(kept[key], numbers, device) for key, (numbers, _) in zip(keys, wanted)]


def _add_layers(
    adapter: AdapterFile,
    wanted: Sequence[tuple[_Kept, Sequence[int]]],
    device: torch.device,
) -> None:
    """Read the layers that are missing in some of `wanted`, and add what each gets from them."""
    missing = sorted({n for kept, numbers in wanted for n in numbers if n not in kept.banks})
    if not missing:
        return
    found = {id(kept): kept for kept, numbers in wanted if not kept.banks.keys() >= {*numbers}}
    lacking = list(found.values())
    sizes = [len(kept.tokens) for kept in lacking]
    tokens = torch.cat([kept.tokens for kept in lacking]).to(device)
    for number, pair in keys_and_values(adapter.path, missing, tokens, sizes).items():
        keys, values = (_apart(each, sizes) for each in pair)
        for kept, key, value in zip(lacking, keys, values):
            kept.banks.setdefault(number, (key, value))


def _apart(stack: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    """Parts of `stack`, on the CPU; no view, which would keep the whole stack in memory."""
    return [part.clone() for part in torch.split(stack.cpu(), sizes)]


def _on_device(kept: _Kept, numbers: Sequence[int], device: torch.device) -> dict[int, Bank]:
    found = ((number, kept.banks[number]) for number in numbers)
    return {number: (key.to(device), value.to(device)) for number, (key, value) in found}


def unread(
    adapter: AdapterFile, numbers: Sequence[int], embeds: torch.Tensor, device: torch.device
) -> tuple[bool, tuple[int, ...]]:
    """Whether the projection would have to be read for `embeds`, and which of the layers."""
    kept = SESSION.of(BankCache).recall(_key(adapter, embeds, device))
    known = {} if kept is None else kept.banks
    return kept is None, tuple(number for number in numbers if number not in known)


def _key(adapter: AdapterFile, embeds: torch.Tensor, device: torch.device) -> Key:
    numbers = embeds.float().contiguous().cpu().numpy().tobytes()
    digest = hashlib.blake2b(numbers, digest_size=32).digest()
    shape = tuple(embeds.shape)
    return (*adapter.version(), str(device), shape, digest)
