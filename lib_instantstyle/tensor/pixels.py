"""A picture as pixels for a VAE."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageOps


def to_pixels(image: Image.Image, width: int, height: int, crop: str = "center") -> torch.Tensor:
    """An RGB picture of any size as [1, 3, height, width] in 0..1, resized with Lanczos.

    crop: "center" covers the size and cuts off what hangs over, "stretch" distorts.
    """
    size = (width, height)
    if crop == "stretch":
        resized = image.resize(size, Image.Resampling.LANCZOS)
    else:
        resized = ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    array = np.asarray(resized, dtype=np.float32) / 255
    return torch.from_numpy(array).permute(2, 0, 1)[None].contiguous()
