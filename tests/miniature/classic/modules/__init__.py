"""The package `modules` of Forge Classic: what is here, and A1111's for everything else."""

from tests.miniature import ROOT

__path__ = [*__path__, str(ROOT / "modules")]
