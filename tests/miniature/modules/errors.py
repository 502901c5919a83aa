"""Errors are printed with a `***` prefix and remembered; they do not stop anything."""

from __future__ import annotations

import sys
import textwrap
import traceback
from typing import Any

exception_records: list[dict[str, Any]] = []
reports: list[str] = []
"""Every message that was reported. What a script hook raised is visible only here."""


def get_exceptions() -> list[dict[str, Any]]:
    return list(reversed(exception_records))


def record_exception() -> None:
    error = sys.exc_info()[1]
    if error is None:
        return
    frames = traceback.extract_tb(error.__traceback__)
    lines = [[f"{x.filename}, line {x.lineno}, {x.name}", x.line] for x in frames]
    exception_records.append({"exception": str(error), "traceback": lines})
    del exception_records[:-5]


def report(message: str, *, exc_info: bool = False) -> None:
    record_exception()
    reports.append(message if not exc_info else f"{message}\n{traceback.format_exc()}")
    for line in message.splitlines():
        print("***", line, file=sys.stderr)
    if exc_info:
        print(textwrap.indent(traceback.format_exc(), "    "), file=sys.stderr)
        print("---", file=sys.stderr)


def print_error_explanation(message: str) -> None:
    record_exception()
    lines = message.strip().split("\n")
    bar = "=" * max(len(x) for x in lines)
    print("\n".join([bar, *lines, bar]), file=sys.stderr)


def display(e: Exception, task: str, *, full_traceback: bool = False) -> None:
    record_exception()
    reports.append(f"{task}: {type(e).__name__}: {e}")
    print(f"{task or 'error'}: {type(e).__name__}", file=sys.stderr)
    print(*traceback.TracebackException.from_exception(e).format(), sep="", file=sys.stderr)


_displayed: set[str] = set()


def display_once(e: Exception, task: str) -> None:
    record_exception()
    if task not in _displayed:
        _displayed.add(task)
        display(e, task)


def run(code, task: str) -> None:
    try:
        code()
    except Exception as e:
        display(e, task)
