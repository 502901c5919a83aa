"""The miniature as Forge, with the extension, put back as it was after each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.miniature import harness

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def session():
    webui = harness.session()
    webui.add_extension(ROOT)
    return webui


@pytest.fixture
def webui(session):
    import lib_probe

    session.use("tiny_sdxl.")
    saved = dict(session.shared.opts.data)
    lib_probe.reset()
    session.reports.clear()
    yield session
    session.shared.opts.data = saved
    lib_probe.reset()


@pytest.fixture
def probe():
    import lib_probe

    return lib_probe
