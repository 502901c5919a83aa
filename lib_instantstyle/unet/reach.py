"""Which layers of a UNet were reached by the calls in which they should have acted.

A hook that is never called is no error to anybody: the picture is made without that part of the
style. So each hook counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lib_instantstyle.unet.plan import When


@dataclass
class Reach:
    """Of one layer: the UNet calls in which it should have acted, and those in which it did."""

    layer: str  # its name, for sentences
    whens: frozenset[When] = frozenset()  # the times at which it acts
    due: int = 0
    done: int = 0
    _call: int = 0  # serial number of the last one in which it did

    def expect(self, acting: Iterable[When]) -> None:
        """A UNet call begins, at a time when `acting` act."""
        self.due += not self.whens.isdisjoint(acting)

    def note(self, call: int) -> None:
        """It acts in the call of that serial number, in a part of its rows or in all."""
        self.done += call != self._call
        self._call = call


def never_reached(reaches: Iterable[Reach]) -> list[str]:
    """The names of the layers that acted in none of the calls in which they should have."""
    return list(dict.fromkeys(each.layer for each in reaches if each.due and not each.done))


def seldom_reached(reaches: Iterable[Reach]) -> list[Reach]:
    """The layers that acted in some of the calls, but not in all."""
    return [each for each in reaches if 0 < each.done < each.due]


def listed(layers: Sequence[str], most: int = 2) -> str:
    """The first `most` names, and how many more there are."""
    more = len(layers) - most
    rest = f" and {more} more layer{'s' * (more > 1)}" if more > 0 else ""
    return f"{', '.join(layers[:most])}{rest}"
