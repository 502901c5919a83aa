"""Wrapping a method of one object until it is unwrapped.

`p.init`, `p.sample` and `p.sampler.launch_sampling` are wrapped this way: other generations have
other objects. Another extension may wrap our wrapper and call it more than once, so it acts in
every call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lib_instantstyle.hosts.live import in_generation

_WRAPPERS = "_instantstyle_wrappers"  # attribute of the owner: its wrappers by name
_NOTHING = object()


class _Wrapper:
    """Stands in the instance of `owner` in the place of a method."""

    def __init__(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        self.owner = owner
        self.is_on = True
        self._replaced = vars(owner).get(name, _NOTHING)
        self._previous = getattr(owner, name)
        self._name = name
        self._around = around
        self._is_within = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._is_within or not self.is_on:
            return self._previous(*args, **kwargs)
        self._is_within = True
        try:
            with in_generation():
                return self._around(self._previous, *args, **kwargs)
        finally:
            self._is_within = False

    def put_back(self, owner: Any) -> None:
        """Put what it replaced back into `owner`, its own or a copy of that."""
        if self._replaced is _NOTHING:
            delattr(owner, self._name)
        else:
            setattr(owner, self._name, self._replaced)


def wrap_calls(owner: Any, name: str, around: Callable[..., Any]) -> None:
    """Make every call of `owner.name(*args)` a call of `around(previous, *args)`.

    Calls that are made within such a call go straight to `previous`. Wrapping again replaces the
    wrapper. Where another extension has wrapped it, a wrapper that is off passes calls on.
    """
    unwrap(owner, name)
    wrapper = _Wrapper(owner, name, around)
    setattr(owner, _WRAPPERS, {**vars(owner).get(_WRAPPERS, {}), name: wrapper})
    setattr(owner, name, wrapper)


def unwrap(owner: Any, name: str) -> None:
    """Take our wrapper off `owner.name`, if there is one; `owner` may be a copy of its owner."""
    in_place = vars(owner).get(name)
    if hasattr(in_place, "put_back"):  # its class is another after a reload of the extension
        in_place.put_back(owner)
    wrappers = dict(vars(owner).get(_WRAPPERS, {}))
    wrapper = wrappers.pop(name, None)
    if wrapper is None:
        return
    if wrapper.owner is owner:
        wrapper.is_on = False
    if wrappers:
        setattr(owner, _WRAPPERS, wrappers)
    else:
        delattr(owner, _WRAPPERS)
