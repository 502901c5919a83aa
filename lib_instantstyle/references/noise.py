"""Noise on the picture that negative-prompt rows get, for guidance to move away from.

Source: the node IPAdapter Noise of ComfyUI's IPAdapter plus (cubiq/ComfyUI_IPAdapter_plus), and
torchvision's ElasticTransform and gaussian_blur, which it uses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

_SEEDS = 1_000_000_007
_SHIFT = 75.0  # of a pixel in "shuffle": half-pixels, before the shifts are smoothed
_WIDEST = 3.5  # pixels over which the shifts are smoothed (standard deviation)

Maker = Callable[[torch.Tensor, float, torch.Generator], torch.Tensor]


def noisy(view: Image.Image, kind: str, strength: float, blur: int = 0) -> Image.Image:
    """The square RGB picture `view` with noise of `kind` and `strength` (0 to 1), 8 bit again.

    - "fade": mixed with a picture of random colours;
    - "dissolve": that share of the values replaced by random ones;
    - "gaussian": normal noise added, with `strength` as its standard deviation;
    - "shuffle": pixels pushed about at random, the whole turned by 180 degrees, and mixed with
      normal noise of standard deviation 0.75 `strength`.

    blur: width in pixels of a Gaussian blur over the result, 0 for none; even ones count as the
    next odd. The same picture always gets the same noise, from a generator of its own.

    Raises KeyError for an unknown kind.
    """
    levels = torch.from_numpy(np.array(cast(Any, view)))  # [S, S, 3]
    generator = torch.Generator().manual_seed(int(levels.sum()) // 255 % _SEEDS)
    image = (levels / 255.0).permute(2, 0, 1).unsqueeze(0)  # [1, 3, S, S]
    result = NOISE_FUNCTIONS[kind](image, strength, generator).clamp(0, 1)
    if blur:
        width = blur | 1
        result = gaussian_blur(result, width, 0.15 * width + 0.35)
    levels = (result[0].permute(1, 2, 0) * 255.0).round().to(torch.uint8)
    return Image.fromarray(levels.numpy())


def gaussian_blur(image: torch.Tensor, width: int, sigma: float) -> torch.Tensor:
    """`image` [1, C, H, W] blurred by a kernel `width` pixels wide, edges mirrored."""
    reach = width // 2
    kernel = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    channels = image.shape[1]
    padded = F.pad(image, (reach,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel.expand(channels, 1, 1, width), groups=channels)
    return F.conv2d(rows, kernel[:, None].expand(channels, 1, width, 1), groups=channels)


def displaced(image: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """`image` [1, C, H, W], each pixel taken from `shifts` [1, H, W, 2] (x, y) away.

    Shifts are in units in which the image is 2 wide and 2 high. Outside it is black, and a pixel
    that lies partly outside is darkened twice, as torchvision does it.
    """
    _, _, height, width = image.shape
    y = torch.linspace(1 / height - 1, 1 - 1 / height, height)
    x = torch.linspace(1 / width - 1, 1 - 1 / width, width)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1) + shifts
    covered = torch.ones_like(image[:, :1])
    found = F.grid_sample(torch.cat([image, covered], dim=1), grid, align_corners=False)
    return found[:, :-1] * found[:, -1:]


def _uniform(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(image.shape, generator=generator)


def _normal(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(image.shape, generator=generator)


def _fade(image: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    return image * (1 - strength) + _uniform(image, generator) * strength


def _dissolve(image: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    replaced = _uniform(image, generator) < strength
    return torch.where(replaced, _uniform(image, generator), image)


def _gaussian(image: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    return image + _normal(image, generator) * strength


def _shuffle(image: torch.Tensor, strength: float, generator: torch.Generator) -> torch.Tensor:
    sigma = (1 - strength) * _WIDEST
    turned = displaced(image, _random_shifts(image, sigma, generator)).flip(2, 3)
    noise = _normal(image, generator) * (strength * 0.75)
    return turned * (1 - noise) + noise


def _random_shifts(image: torch.Tensor, sigma: float, generator: torch.Generator) -> torch.Tensor:
    """[1, H, W, 2] for `displaced`."""
    size = image.shape[-1]
    along = []
    for _ in range(2):  # x, then y
        shift = _uniform(image[:, :1], generator) * 2 - 1
        if sigma > 0:
            shift = gaussian_blur(shift, int(8 * sigma + 1) | 1, sigma)
        along.append(shift * _SHIFT / size)
    return torch.cat(along, dim=1).permute(0, 2, 3, 1)


NOISE_FUNCTIONS: Mapping[str, Maker] = {
    "fade": _fade,
    "dissolve": _dissolve,
    "gaussian": _gaussian,
    "shuffle": _shuffle,
}
