"""The JSON object that a request of ours brings, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.run.requested import RequestedGeneration

_STRENGTH = 0.75  # img2img's, where the request names none


async def json_object(request: Request) -> Mapping[str, object]:
    """A dependency of the POST routes; refuses with a sentence what is no JSON object.

    The type of the content must say JSON: a web page of somebody else can then not post here from
    a browser, because browsers ask the server before they send that type.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise InstantStyle("the request has to come with Content-Type: application/json.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.REQUEST_BYTES:
            raise InstantStyle(f"the request has more than {limits.REQUEST_BYTES:,} bytes.")
    try:
        given = read_json(bytes(body) or b"{}")
    except UnreadableJson as error:
        raise InstantStyle(f"the request is not JSON ({error}).") from None
    if not isinstance(given, dict):
        raise InstantStyle("the request is not a JSON object.")
    return given


# Numbers in the body of a request.


def whole_in(given: Mapping[str, object], name: str, default: int, most: int) -> int:
    """The whole number `name` from 0 to `most`. Raises InstantStyleError for anything else."""
    value = default if given.get(name) is None else given[name]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise InstantStyleError(
        f"{name} is {shorten(value)}; a whole number from 0 to {most} is allowed."
    )


def number_in(given: Mapping[str, object], name: str, default: float) -> float:
    """The number `name`. Raises InstantStyleError for anything else."""
    value: Any = default if given.get(name) is None else given[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1000:
        return float(value)
    raise InstantStyleError(f"{name} is {shorten(value)}; a number is allowed.")


def requested_generation(given: Mapping[str, object]) -> RequestedGeneration:
    """The generation of the request `given`, as far as it says anything of it.

    Raises InstantStyleError for numbers that are none.
    """
    steps = whole_in(given, "steps", 20, limits.STEPS)
    second = whole_in(given, "hr_second_pass_steps", 0, limits.STEPS) or steps
    known = RequestedGeneration(
        steps,
        second if given.get("enable_hr") is True else 0,
        number_in(given, "cfg_scale", 7.0),
        checkpoint=_override(given),
    )
    images = given.get("init_images")
    if "alwayson_scripts" not in given and not images:
        return known
    refiner = given.get("refiner_checkpoint")
    return replace(
        known,
        init_images=images if isinstance(images, list) else (),
        denoising_strength=number_in(given, "denoising_strength", _STRENGTH),
        batch_size=whole_in(given, "batch_size", 1, limits.BATCH),
        refiner_checkpoint_info=None if refiner in (None, "", "None", "none") else refiner,
        is_known=True,
    )


def _override(given: Mapping[str, object]) -> str:
    """The checkpoint that the request names for its own pictures."""
    settings = given.get("override_settings")
    name = settings.get("sd_model_checkpoint") if isinstance(settings, Mapping) else None
    return name if isinstance(name, str) else ""
