"""Noise from seeds: the same seed gives the same noise, alone or in a batch."""

from __future__ import annotations

import torch
from modules import devices, shared
from torch import Tensor


def manual_seed(seed: int) -> None:
    torch.manual_seed(seed)


def create_generator(seed: int) -> torch.Generator:
    return torch.Generator(devices.cpu).manual_seed(int(seed))


def randn(seed: int, shape, generator: torch.Generator | None = None) -> Tensor:
    """Sets torch's global seed as well, as A1111 does."""
    manual_seed(int(seed))
    return torch.randn(shape, generator=generator).to(devices.device)


def randn_local(seed: int, shape) -> Tensor:
    return torch.randn(shape, generator=create_generator(seed)).to(devices.device)


def randn_like(x: Tensor) -> Tensor:
    return torch.randn_like(x)


def randn_without_seed(shape, generator: torch.Generator | None = None) -> Tensor:
    return torch.randn(shape, generator=generator).to(devices.device)


def slerp(val: float, low: Tensor, high: Tensor) -> Tensor:
    """From low to high along the sphere; straight where they nearly agree."""
    a = low / low.norm(dim=1, keepdim=True)
    b = high / high.norm(dim=1, keepdim=True)
    dot = (a * b).sum(1)
    if dot.mean() > 0.9995:
        return low * (1 - val) + high * val
    omega = dot.acos()
    first = ((1.0 - val) * omega).sin() / omega.sin()
    second = (val * omega).sin() / omega.sin()
    return first.unsqueeze(1) * low + second.unsqueeze(1) * high


class ImageRNG:
    """One generator for each image; the first draw may mix in a variation seed."""

    def __init__(
        self,
        shape,
        seeds,
        subseeds=None,
        subseed_strength=0.0,
        seed_resize_from_h=0,
        seed_resize_from_w=0,
    ) -> None:
        self.shape = tuple(int(x) for x in shape)
        self.seeds = seeds
        self.subseeds = subseeds
        self.subseed_strength = subseed_strength
        self.seed_resize_from_h = seed_resize_from_h
        self.seed_resize_from_w = seed_resize_from_w
        self.generators = [create_generator(x) for x in seeds]
        self.is_first = True

    def _resized(self, noise: Tensor, seed: int, generator: torch.Generator) -> Tensor:
        """Noise of another size in the middle of fresh noise of this one."""
        full = randn(seed, self.shape, generator=generator)
        offsets = [(a - b) // 2 for a, b in zip(self.shape[1:], noise.shape[1:], strict=True)]
        to, of = [slice(None)], [slice(None)]
        for offset, size, own in zip(offsets, noise.shape[1:], self.shape[1:], strict=True):
            length = min(size, own)
            to.append(slice(max(offset, 0), max(offset, 0) + length))
            of.append(slice(max(-offset, 0), max(-offset, 0) + length))
        full[tuple(to)] = noise[tuple(of)]
        return full

    def first(self) -> Tensor:
        resize = self.seed_resize_from_h > 0 and self.seed_resize_from_w > 0
        height, width = int(self.seed_resize_from_h) // 8, int(self.seed_resize_from_w) // 8
        noise_shape = (self.shape[0], height, width) if resize else self.shape
        xs = []
        for i, (seed, generator) in enumerate(zip(self.seeds, self.generators, strict=True)):
            same = noise_shape == self.shape
            noise = randn(seed, noise_shape, generator=generator if same else None)
            if self.subseeds is not None and self.subseed_strength != 0:
                subseed = 0 if i >= len(self.subseeds) else self.subseeds[i]
                noise = slerp(self.subseed_strength, noise, randn(subseed, noise_shape))
            xs.append(noise if same else self._resized(noise, seed, generator))
        delta = shared.opts.eta_noise_seed_delta or 0
        if delta:
            self.generators = [create_generator(x + int(delta)) for x in self.seeds]
        return torch.stack(xs).to(shared.device)

    def next(self) -> Tensor:
        if self.is_first:
            self.is_first = False
            return self.first()
        xs = [randn_without_seed(self.shape, generator=x) for x in self.generators]
        return torch.stack(xs).to(shared.device)


devices.randn = randn
devices.randn_local = randn_local
devices.randn_like = randn_like
devices.randn_without_seed = randn_without_seed
devices.manual_seed = manual_seed
