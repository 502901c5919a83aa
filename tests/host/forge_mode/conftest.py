"""Forge is tried with the family that it is mostly used with."""

import pytest


@pytest.fixture
def checkpoint():
    return "tiny_sdxl"
