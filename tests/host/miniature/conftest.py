"""One miniature for all tests of this folder, put back as it was after each of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.miniature import harness


@pytest.fixture(scope="session")
def session():
    return harness.session()


@pytest.fixture
def webui(session):
    """Settings, plan and reports are put back after every test; all checkpoints stay in memory."""
    import lib_probe

    session.shared.opts.data["sd_checkpoints_limit"] = 3
    session.use("tiny_sd15.")
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


@pytest.fixture
def photo():
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)
    return Image.fromarray(
        np.dstack(
            [np.tile(ramp, (64, 1)), np.tile(ramp[:, None], 64), np.full((64, 64), 90, np.uint8)]
        )
    )


@pytest.fixture
def mask():
    image = Image.new("L", (64, 64))
    image.paste(255, (16, 16, 48, 48))
    return image
