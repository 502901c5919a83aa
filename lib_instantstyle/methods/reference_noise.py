"""A reference with noise, in place of its inversion.

An inversion calls the UNet as often as the sampler has steps before the first step, and colours and
texture suffer on that way. Noise added to the clean latent z0 costs nothing: x = z0 + sigma n.
Sources: StyleKeeper (ICCV 2025, arXiv 2510.06827) adds new noise in each step; OmniPainter (arXiv
2505.19063) keeps one noise at one level for all steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

FIXED_LEVEL = 200
"""The timestep at which the reference stays with `reference_noise` "fixed", as in OmniPainter."""

_OTHER_STREAM = 0x51DE_C0DE  # the noise is not to be that of the picture's first latent
_SEEDS = 2**63


class NoisedReference:
    """The latent z0 of a reference with noise, for each image of the batch.

    The noise of an image comes from its own seed, so that it is the same alone and in a batch. No
    random number of the WebUI is drawn.
    """

    def __init__(self, latent: torch.Tensor, seeds: Sequence[int], fresh: bool) -> None:
        """latent: [1, 4, h, w]. seeds: of the images. fresh: new noise at each call of `at`."""
        self._latent = latent
        self._generators = [
            torch.Generator().manual_seed((int(seed) ^ _OTHER_STREAM) % _SEEDS) for seed in seeds
        ]
        self._noise = None if fresh else self._draw()

    def at(self, sigma: float) -> torch.Tensor:
        """z0 + sigma n [images, 4, h, w], not scaled down."""
        noise = self._draw() if self._noise is None else self._noise
        return self._latent + sigma * noise

    def _draw(self) -> torch.Tensor:
        shape = self._latent.shape[1:]
        noise = [torch.randn(shape, generator=generator) for generator in self._generators]
        return torch.stack(noise).to(self._latent)
