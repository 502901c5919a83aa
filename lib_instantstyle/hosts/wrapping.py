"""Wrapping a method of one object for its next call only.

`p.init`, `p.sample` and `p.sampler.launch_sampling` are wrapped this way: other generations have
other objects, and the wrapper is removed when it is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_instantstyle.hosts.live import in_generation

_MARK = "_instantstyle_replaced"  # attribute of the wrapper: the instance's earlier attribute
_NOTHING = object()


def wrap_next_call(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Make the next call of `owner.name(*args)` a call of `around(previous, *args)`.

    A second call replaces the first wrapper. If another extension has wrapped our wrapper by then,
    it stays, and later calls go straight to `previous`.
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
    """Remove our wrapper from `owner.name`, if it is there."""
    wrapper = vars(owner).get(name)
    replaced = getattr(wrapper, _MARK, None)
    if replaced is None:
        return
    if replaced is _NOTHING:
        delattr(owner, name)
    else:
        setattr(owner, name, replaced)
