"""One miniature for all tests of this folder, put back as it was after each of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.miniature import harness


@pytest.fixture(scope="session")
def session():
    """Without the extension."""
    return harness.session()


@pytest.fixture
def webui(all_checkpoints_in_memory, webui):
    return webui


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
