"""Work counted in steps, which are the same on every machine: lines of Python, and what a pattern
tries. Whether it grows with the input or with its square is then a number, not a matter of luck.
"""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager

try:
    from re import _constants as names
    from re import _parser as parser
except ImportError:  # Python 3.10
    import sre_constants as names
    import sre_parse as parser

_CATEGORIES = {
    names.CATEGORY_DIGIT: str.isdigit,
    names.CATEGORY_SPACE: str.isspace,
    names.CATEGORY_WORD: lambda c: c.isalnum() or c == "_",
    names.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
}


def lines_of(call):
    """How many lines of Python `call` runs, and calls of functions in C it makes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        count += event == "line"
        return trace

    def profile(frame, event, argument):
        nonlocal count
        count += event == "c_call"

    before = sys.gettrace(), sys.getprofile()  # of whoever counts the lines that tests reach
    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.settrace(before[0])
        sys.setprofile(before[1])
    return count


class TooManySteps(Exception):
    """A pattern that has tried more than was allowed."""


class Steps:
    """What `pattern` tries in a text, counted as Python's own matcher goes about it."""

    def __init__(self, pattern: re.Pattern[str], most: int) -> None:
        self._nodes = list(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))
        self._folds = bool(pattern.flags & re.IGNORECASE)
        self._all = bool(pattern.flags & re.DOTALL)
        self._most = most
        self.count = 0

    def match(self, text, start=0):
        """Try at `start`; where it ends, or None."""
        self._text = text.lower() if self._folds else text
        ends = []
        with _deep():
            found = self._run(self._nodes, 0, start, lambda end: ends.append(end) or True)
        return ends[0] if found else None

    def search(self, text):
        """Try everywhere, as `finditer` does."""
        position = 0
        while position <= len(text):
            end = self.match(text, position)
            position = end if end is not None and end > position else position + 1

    def _run(self, nodes, index, i, go_on):
        self.count += 1
        if self.count > self._most:
            raise TooManySteps
        if index == len(nodes):
            return go_on(i)
        kind, argument = nodes[index]

        def rest(j):
            return self._run(nodes, index + 1, j, go_on)

        if kind in (names.MAX_REPEAT, names.MIN_REPEAT):
            return self._repeat(argument, 0, i, rest, -1)
        if kind is names.SUBPATTERN:
            return self._run(list(argument[-1]), 0, i, rest)
        if kind is names.BRANCH:
            return any(self._run(list(branch), 0, i, rest) for branch in argument[1])
        if kind in (names.ASSERT, names.ASSERT_NOT):
            found = self._run(list(argument[1]), 0, i, lambda j: True)
            return rest(i) if found == (kind is names.ASSERT) else False
        if kind is names.AT:
            begins = argument in (names.AT_BEGINNING, names.AT_BEGINNING_STRING)
            return rest(i) if i == (0 if begins else len(self._text)) else False
        return rest(i + 1) if i < len(self._text) and self._is(kind, argument, i) else False

    def _repeat(self, argument, done, i, rest, before):
        low, high, inner = argument

        def again(j):
            return j != i and self._repeat(argument, done + 1, j, rest, i)

        more = high is names.MAXREPEAT or done < high
        if more and self._run(list(inner), 0, i, again):
            return True
        return done >= low and rest(i)

    def _is(self, kind, argument, i):
        character = self._text[i]
        if kind is names.ANY:
            return self._all or character != "\n"
        if kind is names.LITERAL:
            return character == self._folded(argument)
        if kind is names.NOT_LITERAL:
            return character != self._folded(argument)
        assert kind is names.IN, kind
        negated = argument[0][0] is names.NEGATE
        return negated != any(self._in(*item, character) for item in argument[negated:])

    def _in(self, kind, argument, character):
        if kind is names.LITERAL:
            return character == self._folded(argument)
        if kind is names.RANGE:
            return argument[0] <= ord(character) <= argument[1]
        return _CATEGORIES[argument](character)

    def _folded(self, code):
        return chr(code).lower() if self._folds else chr(code)


@contextmanager
def _deep():
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
