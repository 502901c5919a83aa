"""Which rows of a UNet call are prompt and which are negative prompt.

A WebUI denoiser step works through its rows in order, prompt rows first and negative-prompt rows
after them, but deals them out to UNet calls in many ways: all at once, prompt and negative apart,
in slices that mix both, or without the negative rows. So neither "a call splits in half" nor "a
call is all of one kind" holds; what holds is the order. This counter follows it.
"""

from __future__ import annotations

PROMPT, NEGATIVE = 0, 1


class RowCounter:
    """Deals out the rows of one denoiser step to its UNet calls."""

    def __init__(self) -> None:
        self._prompt = 0
        self._total = 0
        self._next = 0

    def begin_step(self, prompt_rows: int, negative_rows: int) -> None:
        """A denoiser step begins that has `prompt_rows` and then `negative_rows` rows."""
        self._prompt = prompt_rows
        self._total = prompt_rows + negative_rows
        self._next = 0

    @property
    def known(self) -> bool:
        """Whether any step has begun."""
        return self._total > 0

    def take(self, count: int) -> tuple[int, ...] | None:
        """The kinds (PROMPT or NEGATIVE) of the next `count` rows of the step.

        None if the step has not so many left, because another extension deals out the rows anew;
        `in_order` is then the best guess by counting. When a step's rows are used up exactly,
        they begin anew: an extension that samples in tiles evaluates them once per tile.
        """
        if self._next >= self._total:
            self._next = 0
        first, self._next = self._next, self._next + count
        if self._next > self._total:
            return None
        return tuple(self._kind(row) for row in range(first, self._next))

    def in_order(self, count: int) -> tuple[int, ...]:
        """The kinds of `count` rows if the rows of the step stand in it over and over."""
        return tuple(self._kind(row % self._total) for row in range(count))

    def _kind(self, row: int) -> int:
        return PROMPT if row < self._prompt else NEGATIVE
