"""What the page's buttons start runs in the main thread, one after the other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

last_exception: Exception | None = None
_waiting: queue.Queue[Task] = queue.Queue()


@dataclass
class Task:
    func: Callable
    args: tuple
    kwargs: dict
    result: Any = None
    done: threading.Event = field(default_factory=threading.Event)

    def work(self) -> None:
        """An exception leaves no result and is remembered for whoever waits."""
        global last_exception
        try:
            self.result = self.func(*self.args, **self.kwargs)
            last_exception = None
        except Exception as e:
            last_exception = e
        self.done.set()


def loop(goes_on: Callable[[], bool]) -> None:
    """Works tasks off for as long as `goes_on()`."""
    while goes_on():
        try:
            task = _waiting.get(timeout=0.05)
        except queue.Empty:
            continue
        task.work()


def run_and_wait_result(func: Callable, *args, **kwargs) -> Any:
    task = Task(func, args, kwargs)
    _waiting.put(task)
    task.done.wait()
    return task.result
