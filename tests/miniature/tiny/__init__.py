"""Tiny random models in the real file formats: `make_family(root)` writes them in seconds."""

from .family import MEMBERS, make_family

__all__ = ["MEMBERS", "make_family"]
