"""Replacing a method on one object for its next call, and leaving nothing behind.

`p.init`, `p.sample` and `p.sampler.launch_sampling` are wrapped this way: other generations have
other objects, and the wrapper is gone as soon as it was called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_instantstyle.hosts.live import in_generation

_MARK = "_instantstyle_replaced"  # on the wrapper: what stood in the instance before
_NOTHING = object()


def wrap_next_call(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Make the next call of `owner.name(*args)` a call of `around(previous, *args)`.

    Asked twice, it wraps once. If another extension has wrapped the wrapper by then, the later
    calls that reach it pass straight through.
    """
    unwrap(owner, name)
    previous = getattr(owner, name)
    used = False

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        nonlocal used
        if used:
            return previous(*args, **kwargs)
        used = True
        if vars(owner).get(name) is wrapper:
            unwrap(owner, name)
        with in_generation():
            return around(previous, *args, **kwargs)

    setattr(wrapper, _MARK, vars(owner).get(name, _NOTHING))
    setattr(owner, name, wrapper)


def unwrap(owner: Any, name: str) -> None:
    """Take our wrapper off `owner.name` if it is still there."""
    wrapper = vars(owner).get(name)
    replaced = getattr(wrapper, _MARK, None)
    if replaced is None:
        return
    if replaced is _NOTHING:
        delattr(owner, name)
    else:
        setattr(owner, name, replaced)
