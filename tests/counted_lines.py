"""A plugin of pytest that counts which lines and branches of lib_instantstyle the tests run.

    python -m pytest -p tests.counted_lines --counted-lines FOLDER ...

Each process writes a file of its own into FOLDER; `python -m tests.coverage_by_room FOLDER` adds
them up. SlipCover writes its counting into the code of our modules alone, so that tests take hardly
longer. What traces every line of Python, torch's and Gradio's too, took a quarter to two fifths
more, but for Python 3.12 and later.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from slipcover import Slipcover
from slipcover.importer import SlipcoverLoader

PACKAGE = "lib_instantstyle"


class Finder(MetaPathFinder):
    """Finds our modules as Python does, and has their code counted."""

    def __init__(self, counter: Slipcover) -> None:
        self._counter = counter

    def find_spec(self, fullname, path, target=None):
        if fullname.partition(".")[0] != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None and spec.origin is not None:
            spec.loader = SlipcoverLoader(self._counter, spec.loader, spec.origin)
        return spec


def pytest_addoption(parser):
    parser.addoption("--counted-lines", metavar="FOLDER", required=True)


def pytest_configure(config):
    folder = Path(config.getoption("--counted-lines"))
    worker = hasattr(config, "workerinput")
    if not worker:
        for earlier in folder.glob("*.json"):
            earlier.unlink()
    if worker or not getattr(config.option, "numprocesses", None):  # else it runs no test itself
        config.pluginmanager.register(_Counting(folder))


class _Counting:
    def __init__(self, folder: Path) -> None:
        assert not [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
        self._file = folder / f"{os.getpid()}.json"
        # The counting stays in: to take it out SlipCover walks through all that is alive, and then
        # holds it until the next garbage collection. That costs more than it saves, and some tests
        # see that what they let go is gone.
        self._counter = Slipcover(branch=True, d_miss_threshold=2**31 - 1)
        sys.meta_path.insert(0, Finder(self._counter))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self):
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._counter.get_coverage()), encoding="utf8")
