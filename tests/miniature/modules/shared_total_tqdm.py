"""The second progress bar of the console. Here it only counts."""

from __future__ import annotations


class TotalTQDM:
    def __init__(self) -> None:
        self.total = 0
        self.done = 0

    def reset(self) -> None:
        self.done = 0

    def update(self) -> None:
        self.done += 1

    def updateTotal(self, new_total: int) -> None:
        self.total = new_total

    def clear(self) -> None:
        self.total = self.done = 0
