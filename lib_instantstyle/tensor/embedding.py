"""What CLIP makes of references, computed once and remembered by content."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import torch

from lib_instantstyle.pure.adapter_kind import AdapterKind
from lib_instantstyle.pure.catalog import TowerFile
from lib_instantstyle.tensor.clip_view import clip_pixels
from lib_instantstyle.tensor.image_encoder import ImageEncoder, load_image_encoder
from lib_instantstyle.tensor.pictures import Picture

CAPACITY = 64 * 1024 * 1024  # bytes: an image vector has 5 kB, the hidden states of ViT-H 1.3 MB
_ZERO_IMAGE = "zero image"  # in place of a picture's hash

_lock = Lock()
_remembered: OrderedDict[tuple[object, ...], torch.Tensor] = OrderedDict()
_kept: dict[tuple[object, ...], ImageEncoder] = {}  # at most one, where the user asks for it


def feature_of(
    picture: Picture,
    kind: AdapterKind,
    tower: TowerFile,
    device: torch.device,
    dtype: torch.dtype,
    keep: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """What an adapter of `kind` takes of `picture`, and the same of the zero image if it needs it.

    The arguments `feature` and `zero_image` of adapter.image_tokens. keep: leave the encoder on
    its device for the next picture; otherwise none stays.
    """
    if not keep:
        _kept.clear()
    if kind.projection.takes_hidden_states:
        return hidden_states(picture, tower, device, dtype, keep)
    return image_vector(picture, tower, device, dtype, keep), None


def image_vector(
    picture: Picture,
    tower: TowerFile,
    device: torch.device,
    dtype: torch.dtype,
    keep: bool = False,
) -> torch.Tensor:
    """The CLIP image vector of `picture`: [E], float32, on the CPU, not normalised to length 1.

    The encoder is built for a picture not seen before, and let go of at once unless it is kept.
    """
    (vector,) = _encode([picture], tower, device, dtype, hidden=False, keep=keep)
    return vector


def hidden_states(
    picture: Picture,
    tower: TowerFile,
    device: torch.device,
    dtype: torch.dtype,
    keep: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states [N, W], float32, on the CPU, of `picture` and of the zero image.

    They leave the last block but one; N is 257 at 224 pixels. The zero image is zero after CLIP's
    normalisation, a flat picture of CLIP's mean colour: what adapters saw in training where the
    picture was dropped. Both go through the encoder together.
    """
    pictures = [picture, None]
    reference, zero_image = _encode(pictures, tower, device, dtype, hidden=True, keep=keep)
    return reference, zero_image


def _encode(
    pictures: Sequence[Picture | None],
    tower: TowerFile,
    device: torch.device,
    dtype: torch.dtype,
    hidden: bool,
    keep: bool,
) -> list[torch.Tensor]:
    """One tensor for each picture, None being the zero image; the encoder runs at most once."""
    status = tower.path.stat()
    source = (str(tower.path), status.st_size, status.st_mtime_ns, dtype, hidden)
    keys = [(picture.sha256 if picture else _ZERO_IMAGE, *source) for picture in pictures]
    found = _recall(keys)
    missing = [i for i, key in enumerate(keys) if key not in found]
    if missing:
        encoder = _kept.get((source, device))
        if encoder is None:
            _kept.clear()  # before another is built: two would not fit everywhere
            encoder = load_image_encoder(tower.path, tower.kind, device, dtype, hidden)
        if keep:
            _kept[source, device] = encoder
        pixels = torch.cat([_pixels(pictures[i], tower.kind.image_size) for i in missing])
        encoded = encoder(pixels.to(device=device, dtype=dtype)).float().cpu()
        # Clones: a view would keep the whole batch alive for as long as one of it is remembered.
        found.update({keys[i]: row.clone() for i, row in zip(missing, encoded)})
        _remember({keys[i]: found[keys[i]] for i in missing})
    return [found[key] for key in keys]


def _pixels(picture: Picture | None, size: int) -> torch.Tensor:
    """[1, 3, size, size]"""
    return torch.zeros(1, 3, size, size) if picture is None else clip_pixels(picture.image, size)


def _recall(keys: Sequence[tuple[object, ...]]) -> dict[tuple[object, ...], torch.Tensor]:
    with _lock:
        found = {key: _remembered[key] for key in keys if key in _remembered}
        for key in found:
            _remembered.move_to_end(key)
    return found


def _remember(tensors: dict[tuple[object, ...], torch.Tensor]) -> None:
    with _lock:
        _remembered.update(tensors)
        held = sum(tensor.numel() * tensor.element_size() for tensor in _remembered.values())
        while held > CAPACITY and len(_remembered) > 1:
            _, oldest = _remembered.popitem(last=False)
            held -= oldest.numel() * oldest.element_size()
