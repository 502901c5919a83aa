"""Small extensions whose doings bite others; a test loads one with `webui.add_extension(...)`."""

from tests.miniature import ROOT

LORA = ROOT / "extensions" / "Lora"
"""Changes the weights of layers in place when they are called; A1111's, Forge has another."""

NESTED = ROOT / "extensions" / "nested-passes"
"""Runs a generation inside a generation, as ADetailer."""

SMALL_DOWNLOADS = ROOT / "extensions" / "small-downloads"
"""Publishes small models for InstantStyle's page to download; for a WebUI in its own process."""
