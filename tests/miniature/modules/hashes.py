"""SHA-256 of model files, cached by modification time."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modules import cache, shared

dump_cache = cache.dump_cache


def calculate_sha256(filename: str) -> str:
    digest = hashlib.sha256()
    with Path(filename).open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256_from_cache(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    entry = cache.cache("hashes-addnet" if use_addnet_hash else "hashes").get(title)
    try:
        mtime = Path(filename).stat().st_mtime
    except FileNotFoundError:
        return None
    if entry is None or mtime > entry["mtime"] or entry["sha256"] is None:
        return None
    return entry["sha256"]


def sha256(filename: str, title: str, use_addnet_hash: bool = False) -> str | None:
    known = sha256_from_cache(filename, title, use_addnet_hash)
    if known is not None:
        return known
    if shared.cmd_opts.no_hashing:
        return None
    value = calculate_sha256(filename)
    stored = cache.cache("hashes-addnet" if use_addnet_hash else "hashes")
    stored[title] = {"mtime": Path(filename).stat().st_mtime, "sha256": value}
    return value
