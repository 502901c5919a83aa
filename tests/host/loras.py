"""Where LoRAs are what the tests take them to be."""

import pytest

from tests.miniature.flavour import FORGE, flavour

in_place = pytest.mark.skipif(
    flavour() == FORGE,
    reason="this Lora extension is A1111's, which changes weights when a layer is called; Forge's "
    "merges them when it loads a model (tests/webui/test_text.py tries that in a real one)",
)
