"""A WebUI as far as content needs one, and a stand-in for its loaded text encoder."""

import zlib

import torch

from tests.unit.webui_host import Host


def word_ids(texts):
    """Token ids that differ from word to word."""
    return [[zlib.crc32(word.encode()) % 49000 for word in text.split()] for text in texts]


class Loaded:
    """Seeded random vectors by text; `stray` mixes in something else."""

    title = "the loaded checkpoint's text encoder"

    def __init__(self, width, like=None, stray=0.0, identity="loaded"):
        self.width, self.identity = width, identity
        self._like, self._stray = like, stray
        self.asked = []

    def vectors(self, texts, progress=None):
        self.asked += texts
        vectors = torch.stack([self._vector(text) for text in texts])
        if progress:
            progress(len(texts))
        return vectors

    def _vector(self, text):
        own = torch.randn(
            self.width, generator=torch.Generator().manual_seed(zlib.crc32(text.encode()))
        )
        if self._like is None:
            return own
        (stock,) = self._like.vectors([text])
        return stock + self._stray * own * stock.norm() / own.norm()


class TextHost(Host):
    """One whose checkpoint reads texts, or does not."""

    def __init__(self, folder, loaded=None, tokens=word_ids):
        self.folder, self.loaded, self._tokens = folder, loaded, tokens

    def text_encoder(self, p):
        return self.loaded

    def token_ids(self, p, texts):
        return self._tokens(texts) if self._tokens else None

    def cache_folder(self):
        return self.folder / "cache"
