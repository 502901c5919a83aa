"""open_clip's encoders, without the torchvision that its package asks for.

Torchvision has no build for every torch, and only open_clip's picture transforms use it. A name
that stands in for it lets the package be imported; the encoders are plain torch.
"""

import importlib.machinery
import sys
import types
from unittest import mock


class _StandIn(types.ModuleType):
    def __init__(self, name):
        super().__init__(name)
        self.__path__ = []
        self.__spec__ = importlib.machinery.ModuleSpec(name, None)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return mock.MagicMock(name=name)


_NAMES = ("", ".ops", ".ops.misc", ".transforms", ".transforms.functional", ".transforms.v2")
with mock.patch.dict(sys.modules, {f"torchvision{n}": _StandIn(f"torchvision{n}") for n in _NAMES}):
    from open_clip.tokenizer import _tokenizer as tokenizer
    from open_clip.transformer import QuickGELU, TextTransformer, VisionTransformer

__all__ = ["QuickGELU", "TextTransformer", "VisionTransformer", "tokenizer"]
