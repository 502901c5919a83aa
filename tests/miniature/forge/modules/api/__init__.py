"""The HTTP API under /sdapi/v1, where Forge answers otherwise."""

from tests.miniature import ROOT

__path__ = [*__path__, str(ROOT / "modules" / "api")]
