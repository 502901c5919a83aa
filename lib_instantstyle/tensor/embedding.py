"""CLIP image vectors of references, computed once and remembered by content."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import torch

from lib_instantstyle.pure.catalog import TowerFile
from lib_instantstyle.tensor.image_encoder import load_image_encoder
from lib_instantstyle.tensor.pictures import Picture, clip_pixels

CAPACITY = 256  # vectors of at most 5 kB

_lock = Lock()
_remembered: OrderedDict[tuple[object, ...], torch.Tensor] = OrderedDict()


def image_vector(
    picture: Picture, tower: TowerFile, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """The CLIP image vector of `picture`: [E], float32, on the CPU, not normalised to length 1.

    The encoder is built for a picture not seen before, and let go of at once.
    """
    status = tower.path.stat()
    key = (picture.sha256, str(tower.path), status.st_size, status.st_mtime_ns, dtype)
    with _lock:
        if key in _remembered:
            _remembered.move_to_end(key)
            return _remembered[key]
    encoder = load_image_encoder(tower.path, tower.kind, device, dtype)
    pixels = clip_pixels(picture.image, tower.kind.image_size).to(device=device, dtype=dtype)
    vector: torch.Tensor = encoder(pixels)[0].float().cpu()
    with _lock:
        _remembered[key] = vector
        while len(_remembered) > CAPACITY:
            _remembered.popitem(last=False)
    return vector
