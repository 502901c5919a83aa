"""The methods without an adapter, for the painter: their own parts, on a batch of cases.

A WebUI gives all pictures of a batch one reference. Here each case of a batch has its own: a part
that tells the images of a batch apart serves each the captured row with its number.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from torch import Tensor, nn

from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods import load
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.units.unit import Unit
from tests.miniature.modules.denoisers import CompVisVDenoiser
from tests.miniature.modules.sampling import sample_euler

_OF_THE_WEBUI = ("prompt_parser", "sd_samplers", "sd_samplers_common", "shared")
_PICTURE = SimpleNamespace(sha256="0" * 64)  # what a part asks of its reference before sampling


class Guided(nn.Module):
    """A denoiser with classifier-free guidance, called as a WebUI's sampler calls its own."""

    def __init__(self, predict: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self._predict = predict

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        return self._predict(x, sigma)


@dataclass(frozen=True)
class Sampling:
    """One run of the sampler. rows: the codes of the rows of each of its UNet calls; completed: the
    share of its steps before an evaluation."""

    context: Context
    steps: int
    rows: tuple[int, ...]
    completed: Callable[[], float]
    is_hires: bool = False

    @property
    def unet(self) -> nn.Module:
        assert self.context.unet is not None
        return self.context.unet

    def fraction(self, denoiser: Any, level: Tensor) -> float:
        return self.completed()

    def outside_sampling(self, denoiser: Any) -> Any:
        return denoiser


class _Diffusion:
    """The checkpoint as the extension's own hosts show it."""

    checkpoint = "the trained world"
    others_attend = False

    def __init__(self, model: Any) -> None:
        self._model = model
        self._denoiser: Any = CompVisVDenoiser(model)

    def sigmas(self) -> list[float]:
        found: list[float] = self._denoiser.sigmas.tolist()
        return found

    def unconditional_denoiser(self, empty: Any) -> Callable[[Tensor, float], Tensor]:
        """The noise that the UNet predicts with an empty prompt, which is not SDXL's zeros."""
        told = self._model.get_learned_conditioning([""])

        def noise(x: Tensor, sigma: float) -> Tensor:
            rows = {key: t.expand(len(x), *t.shape[1:]) for key, t in told.items()}
            denoised: Tensor = self._denoiser(x, x.new_full([len(x)], sigma), cond=rows)
            return (x - denoised) / sigma

        return noise


@contextmanager
def acting(
    unit: Unit,
    model: Any,
    layers: UnetLayers,
    denoiser: Guided,
    latents: Tensor,
    seeds: Sequence[int],
    sampling: tuple[int, tuple[int, ...], Callable[[], float]],
) -> Iterator[None]:
    """Hold what `unit` does around the sampler's calls of `denoiser`.

    latents: of the references, [B, 4, h, w], one for each image. sampling: steps, rows of a call,
    and the completed share, as in Sampling.
    """
    diffusion = _Diffusion(model)
    host = SimpleNamespace(diffusion=lambda p: diffusion)
    sampler = SimpleNamespace(model_wrap_cfg=denoiser, func=sample_euler)
    p = SimpleNamespace(seeds=list(map(int, seeds)), steps=sampling[0], sampler=sampler)
    context = Context(p, model.model.diffusion_model, layers, host=cast(Any, host))
    part = _part_of(unit, layers)
    part.reference = latents
    part._per_image = True
    with part.around_sampling(p, Sampling(context, *sampling)):
        yield
    if part.problem:
        raise RuntimeError(part.problem)


def _part_of(unit: Unit, layers: UnetLayers) -> Any:
    method: Any = _method(unit.method)
    return method.attention_part(unit, method.blocks_of(unit, layers.layout), _PICTURE)


def _method(name: str) -> Any:
    """The method, loaded where there is no WebUI: stand-ins for four of its modules, which only
    encoding a picture and progress on a page need, are there while it is imported."""
    if "modules" in sys.modules:
        return load(name)
    parent = ModuleType("modules")
    for each in _OF_THE_WEBUI:
        setattr(parent, each, SimpleNamespace(state=SimpleNamespace(textinfo=None)))
    sys.modules["modules"] = parent
    try:
        return load(name)
    finally:
        del sys.modules["modules"]
