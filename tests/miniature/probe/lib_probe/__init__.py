"""What the probe saw. It lives here because a script's own module is not in `sys.modules`."""

from __future__ import annotations

from typing import Any

events: list[dict[str, Any]] = []
plan: dict[str, Any] = {}
"""What the probe should do at a hook; tests fill it, `reset` empties it."""


def reset(**new_plan: Any) -> None:
    events.clear()
    plan.clear()
    plan.update(new_plan)


def names() -> list[str]:
    return [x["hook"] for x in events]


def of(hook: str) -> list[dict[str, Any]]:
    return [x for x in events if x["hook"] == hook]
