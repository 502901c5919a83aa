"""A WebUI that lacks the parts that the extension needs gets one sentence."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "instantstyle.py"


@pytest.mark.parametrize(
    "has", [(), ("infotext_utils", "script_callbacks", "scripts", "ui_components")]
)
def test_it_is_told_and_nothing_is_registered(monkeypatch, has):
    """Neither a WebUI without these modules, nor one whose modules lack what is in them."""
    modules = ModuleType("modules")
    modules.__path__ = []
    for name in [*sys.modules]:
        if name.startswith("modules."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "modules", modules)
    for name in has:
        monkeypatch.setitem(sys.modules, f"modules.{name}", ModuleType(f"modules.{name}"))
        setattr(modules, name, sys.modules[f"modules.{name}"])
    with pytest.raises(ImportError, match=r"cannot be loaded by this WebUI .* SD\.Next") as caught:
        runpy.run_path(str(SCRIPT))
    assert caught.value.__suppress_context__  # one sentence, and no second traceback
