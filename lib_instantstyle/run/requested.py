"""The generation that a request asks for, where a plan is all that is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lib_instantstyle.api.request import number_in, whole_in
from lib_instantstyle.hosts import settings

_MOST_IMAGES = 1000  # of a batch
_STRENGTH = 0.75  # img2img's, where the request names none


@dataclass(frozen=True)
class AskedGeneration:
    """Stands for the WebUI's `p`; the defaults stand in no method's way."""

    steps: int = 20
    init_images: Sequence[object] = ("some picture",)
    denoising_strength: float = 1.0
    batch_size: int = 2
    refiner_checkpoint_info: object | None = None

    def get_token_merging_ratio(self) -> float:
        return settings.token_merging_ratio(bool(self.init_images))


def asked_generation(given: Mapping[str, object], steps: int) -> AskedGeneration | None:
    """The generation of the request `given`; None where it holds units alone.

    Raises InstantStyleError for numbers that are none.
    """
    images = given.get("init_images")
    if "alwayson_scripts" not in given and not images:
        return None
    refiner = given.get("refiner_checkpoint")
    return AskedGeneration(
        steps,
        images if isinstance(images, list) else (),
        number_in(given, "denoising_strength", _STRENGTH),
        whole_in(given, "batch_size", 1, _MOST_IMAGES),
        None if refiner in (None, "", "None", "none") else refiner,
    )
