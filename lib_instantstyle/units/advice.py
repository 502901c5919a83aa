"""What to change when a result does not look right: a method's own steps for each complaint.

The page offers them under a result; README has the same in words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

WEAK, STRONG, CONTENT, BURNT, NOTHING = COMPLAINTS = (
    "weak",
    "strong",
    "content",
    "burnt",
    "nothing",
)
# What is left when no step of the method changes anything any more.
LAST = {
    WEAK: "All settings for a stronger style are used. Lower the CFG scale, shorten the prompt, or "
    "choose another reference.",
    STRONG: "All settings for a weaker style are used. Raise the CFG scale, or say more in the "
    "prompt.",
    CONTENT: "All settings against the reference's content are used. Name the content in the "
    "negative prompt, or choose a reference that shows less.",
    BURNT: "All settings against burnt colours are used. Lower the CFG scale.",
    NOTHING: "This unit is ready and its effect is measured. Try “Style too weak”.",
}


@dataclass(frozen=True)
class By:
    """A number goes on by `by`, and no further than `to`; nothing happens below `above`."""

    field: str
    by: float
    to: float
    above: float = -math.inf

    def changes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What it changes of a unit's page values; nothing if the number is there or beyond."""
        now = values[self.field]
        if not isinstance(now, (int, float)) or not self.above <= now < math.inf:
            return {}
        after = min(now + self.by, self.to) if self.by > 0 else max(now + self.by, self.to)
        is_further = after > now if self.by > 0 else after < now
        return {self.field: round(after, 4)} if is_further else {}


@dataclass(frozen=True)
class Set:
    """Fields get these values of the page, if the first of them has another."""

    values: Mapping[str, Any]

    def changes(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """See By."""
        first = next(iter(self.values))
        if values[first] == self.values[first]:
            return {}
        return {name: to for name, to in self.values.items() if values[name] != to}


Step = By | Set
Advice = Mapping[str, tuple[Step, ...]]
