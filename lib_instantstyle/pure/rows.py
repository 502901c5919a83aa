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
        self.prompt_rows = 0
        self.negative_rows = 0
        self._next = 0

    def begin_step(self, prompt_rows: int, negative_rows: int) -> None:
        """A denoiser step begins that has `prompt_rows` and then `negative_rows` rows."""
        self.prompt_rows = prompt_rows
        self.negative_rows = negative_rows
        self._next = 0

    def take(self, count: int) -> tuple[int, ...] | None:
        """The kinds (PROMPT or NEGATIVE) of the next `count` rows.

        None before the first step. When a step's rows are used up they begin anew: an extension
        that samples in tiles evaluates the same rows once per tile.
        """
        total = self.prompt_rows + self.negative_rows
        if not total:
            return None
        if self._next >= total:
            self._next = 0
        first, self._next = self._next, self._next + count
        return tuple(
            PROMPT if row < self.prompt_rows else NEGATIVE for row in range(first, first + count)
        )
