"""The guard of live state: the checkpoint in memory, its text encoders, and the LoRAs in them.

The WebUI makes one generation at a time and holds its queue lock meanwhile. Code outside a
generation that reads or changes what a generation works with must hold the lock, too. The lock does
not tell who holds it, so this module remembers that for each thread.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_thread = threading.local()


def is_held() -> bool:
    """Whether this thread may use live state."""
    return getattr(_thread, "depth", 0) > 0


def sd_model(p: Any) -> Any:
    """The checkpoint object that `p` works with; raises RuntimeError without the queue lock."""
    require("the checkpoint")
    return p.sd_model


def require(what: str) -> None:
    """Raise RuntimeError if this thread does not hold the lock; `what` is for the sentence."""
    if not is_held():
        raise RuntimeError(f"{what} was used without the WebUI's queue lock")


@contextmanager
def in_generation() -> Iterator[None]:
    """For code that the WebUI calls in a generation: the WebUI holds the lock already."""
    _thread.depth = getattr(_thread, "depth", 0) + 1
    try:
        yield
    finally:
        _thread.depth -= 1


@contextmanager
def queue_lock() -> Iterator[None]:
    """Wait for the generation under way, and hold the lock; at once where it is held already."""
    if is_held():
        yield
        return
    from modules import call_queue

    with call_queue.queue_lock, in_generation():
        yield


@contextmanager
def queue_lock_if_free() -> Iterator[bool]:
    """Hold the lock if nobody else does; yields whether it is held. Never waits."""
    if is_held():
        yield True
        return
    from modules import call_queue

    lock: Any = call_queue.queue_lock
    if not lock.acquire(False):
        yield False
        return
    try:
        with in_generation():
            yield True
    finally:
        lock.release()


def uses_onnx() -> bool:
    """Whether pictures come from an ONNX or Olive pipeline, as the branch for AMD devices can."""
    from modules import shared

    return bool(shared.opts.data.get("onnx_enable"))
