"""The body of a request: a JSON object, its numbers, and the generation that it describes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.hosts import settings
from lib_instantstyle.hosts.refusal import InstantStyle
from lib_instantstyle.run.requested import RequestedGeneration
from lib_instantstyle.styles.tags import is_true

_STRENGTH = 0.75  # the WebUI's default for img2img


async def json_object(request: Request) -> Mapping[str, object]:
    """A dependency of the POST routes: the request's body. Refuses any other than a JSON object.

    The content type must be JSON, which keeps foreign web pages out: browsers do not send that
    type to another origin before they have asked the server (CORS preflight).
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


def whole_in(given: Mapping[str, object], name: str, default: int, most: int) -> int:
    """The whole number `name` in `given`, 0 to `most`; InstantStyleError for anything else."""
    value = default if given.get(name) is None else given[name]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise InstantStyleError(
        f"{name} is {shorten(value)}; a whole number from 0 to {most} is allowed."
    )


def number_in(given: Mapping[str, object], name: str, default: float) -> float:
    """The number `name` in `given`; InstantStyleError for anything else."""
    value: Any = default if given.get(name) is None else given[name]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1000:
        return float(value)
    raise InstantStyleError(f"{name} is {shorten(value)}; a number is allowed.")


def requested_generation(given: Mapping[str, object]) -> RequestedGeneration:
    """The generation that the request `given` describes; what it leaves out has defaults.

    Raises InstantStyleError for a number that is none, or out of range.
    """
    override = given.get("override_settings")
    override = override if isinstance(override, Mapping) else {}
    steps = whole_in(given, "steps", 20, limits.STEPS)
    second = whole_in(given, "hr_second_pass_steps", 0, limits.STEPS) or steps
    known = RequestedGeneration(
        steps,
        second if is_true(given.get("enable_hr")) else 0,
        number_in(given, "cfg_scale", 7.0),
        override=override,
        is_api=True,
    )
    images = given.get("init_images")
    if "alwayson_scripts" not in given and not images:
        return known
    refiner = given.get("refiner_checkpoint")
    strength = number_in(given, "denoising_strength", _STRENGTH)
    return replace(
        known,
        steps=settings.img2img_steps(steps, strength, override) if images else steps,
        init_images=images if isinstance(images, list) else (),
        denoising_strength=strength,
        batch_size=whole_in(given, "batch_size", 1, limits.BATCH),
        refiner_checkpoint_info=None if refiner in (None, "", "None", "none") else refiner,
        is_known=True,
        script_name=str(given.get("script_name") or ""),
    )
