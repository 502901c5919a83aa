"""Words to token ids without a vocabulary file: a hash stands in for the byte-pair table."""

from __future__ import annotations

import re
import zlib

BOS = 49406
EOS = 49407
VOCABULARY = 49408
CONTEXT = 77
CHUNK = CONTEXT - 2

_WORD = re.compile(r"[^\W_]+|[^\s]")


def word_ids(text: str) -> list[int]:
    """One id per word or punctuation mark, the same on every machine; case is ignored."""
    return [zlib.crc32(word.encode()) % BOS for word in _WORD.findall(text.lower())]


def chunks(text: str, pad: int = EOS) -> list[list[int]]:
    """Rows of 77 ids, BOS first, each holding up to 75 words; at least one row."""
    ids = word_ids(text)
    rows = []
    for start in range(0, max(len(ids), 1), CHUNK):
        row = [BOS, *ids[start : start + CHUNK], EOS]
        rows.append(row + [pad] * (CONTEXT - len(row)))
    return rows


def token_batches(texts: list[str], pad: int = EOS) -> list[list[list[int]]]:
    """Chunk-major: result[i] holds chunk i of every text, short texts filled with empty chunks."""
    tokenized = [chunks(text, pad) for text in texts]
    length = max(map(len, tokenized))
    empty = chunks("", pad)[0]
    return [[rows[i] if i < len(rows) else empty for rows in tokenized] for i in range(length)]
