"""A pickle read as data: what it would build, in plain words, with nothing built or called.

Only the opcodes of protocol 2 that `torch.save` writes are understood. A class or function that
the pickle names is handed to the caller as a `Call`, never looked up; everything else is a
Python dictionary, list, tuple, text or number. Reading is bounded in bytes and in steps.

Format: the standard library's pickletools.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lib_instantstyle import limits


class UnreadablePickle(ValueError):
    """The pickle is not what `torch.save` writes; its text is the end of a sentence."""


@dataclass(frozen=True)
class Global:
    """A class or function that the pickle names: "torch._utils._rebuild_tensor_v2"."""

    name: str


@dataclass(frozen=True)
class Call:
    """A call that unpickling would make."""

    name: str
    arguments: tuple[object, ...]


@dataclass(frozen=True)
class Persistent:
    """An object that is stored beside the pickle, by what identifies it."""

    id: object


# What to put in place of what a pickle names.
Resolve = Callable[[Global | Call | Persistent], object]
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_pickle(data: bytes, resolve: Resolve) -> object:
    """What `data` would build.

    `resolve` is asked for each Global, Call and Persistent as it comes up, and may raise.
    Raises UnreadablePickle on anything unexpected.
    """
    if len(data) > limits.PICKLE_BYTES:
        raise UnreadablePickle(f"its table of contents has {len(data):,} bytes")
    try:
        return _Reader(data, resolve).read()
    except UnreadablePickle:
        raise
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError):
        # pickletools on bytes that are no pickle, or one that uses its own stack wrongly.
        raise UnreadablePickle("its table of contents is damaged") from None


class _Reader:
    """The machine that a pickle is a program for, with marks kept as a stack of stacks."""

    def __init__(self, data: bytes, resolve: Resolve) -> None:
        self._file = io.BytesIO(data)
        self._resolve = resolve
        self._stack: list[object] = []
        self._below: list[list[object]] = []  # what lay on the stack at each mark
        self._memo: dict[object, object] = {}  # by the number that the pickle gives it

    def read(self) -> object:
        for _ in range(limits.PICKLE_STEPS):
            operation = _OPERATIONS[self._file.read(1).decode("latin-1")]
            name = operation.name
            if name == "STOP":
                return self._stack.pop()
            # An argument is read only after its opcode was allowed: some, such as decimal
            # integers of any length, take longer to read than they should.
            handler = _HANDLERS.get(name)
            if handler is None:
                raise UnreadablePickle(f"it uses the pickle operation {name}")
            reader = operation.arg.reader if operation.arg is not None else None
            handler(self, name, reader(self._file) if reader is not None else None)
        raise UnreadablePickle("its table of contents is too long")

    def push(self, name: str, value: object) -> None:
        self._stack.append(_CONSTANTS.get(name, value))

    def begin(self, name: str, value: object) -> None:
        if name == "EMPTY_DICT":
            self._stack.append({})
        elif name == "EMPTY_LIST":
            self._stack.append([])
        else:  # MARK
            self._below.append(self._stack)
            self._stack = []

    def nothing(self, name: str, value: object) -> None:
        """PROTO says a version, BUILD restores attributes that no tensor needs."""
        if name == "BUILD":
            self._stack.pop()

    def remember(self, name: str, value: object) -> None:
        self._memo[value] = self._stack[-1]

    def recall(self, name: str, value: object) -> None:
        self._stack.append(self._memo[value])

    def tuple_(self, name: str, value: object) -> None:
        if name == "TUPLE":
            items = self._since_mark()
        else:
            count = _TUPLES[name]
            items = [self._stack.pop() for _ in range(count)][::-1]
        self._stack.append(tuple(items))

    def extend(self, name: str, value: object) -> None:
        items = [self._stack.pop()] if name == "APPEND" else self._since_mark()
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError
        target.extend(items)

    def set_items(self, name: str, value: object) -> None:
        if name == "SETITEM":
            items: Sequence[object] = [self._stack.pop(), self._stack.pop()][::-1]
        else:
            items = self._since_mark()
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError
        for key, item in zip(items[::2], items[1::2]):
            if not isinstance(key, (str, int)):
                raise TypeError
            target[key] = item

    def name_global(self, name: str, value: object) -> None:
        module, _, attribute = str(value).partition(" ")
        self._stack.append(self._resolve(Global(f"{module}.{attribute}")))

    def call(self, name: str, value: object) -> None:
        arguments = self._stack.pop()
        function = self._stack.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            raise TypeError
        self._stack.append(self._resolve(Call(function.name, arguments)))

    def persistent(self, name: str, value: object) -> None:
        self._stack.append(self._resolve(Persistent(self._stack.pop())))

    def _since_mark(self) -> list[object]:
        items, self._stack = self._stack, self._below.pop()
        return items


_OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
_HANDLERS: dict[str, Callable[[_Reader, str, object], None]] = {
    **dict.fromkeys(("PROTO", "BUILD"), _Reader.nothing),
    **dict.fromkeys(("EMPTY_DICT", "EMPTY_LIST", "MARK"), _Reader.begin),
    **dict.fromkeys(("NONE", "NEWTRUE", "NEWFALSE", "EMPTY_TUPLE"), _Reader.push),
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "LONG1"), _Reader.push),
    **dict.fromkeys(("BINFLOAT", "BINUNICODE"), _Reader.push),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Reader.remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Reader.recall),
    **dict.fromkeys(("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"), _Reader.tuple_),
    **dict.fromkeys(("APPEND", "APPENDS"), _Reader.extend),
    **dict.fromkeys(("SETITEM", "SETITEMS"), _Reader.set_items),
    "GLOBAL": _Reader.name_global,
    "REDUCE": _Reader.call,
    "BINPERSID": _Reader.persistent,
}
