"""A cache on disk, one folder for each subsection. A1111 uses diskcache; this is JSON files."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, MutableMapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from modules.paths import data_path

_lock = threading.Lock()
caches: dict[str, Cache] = {}


class Cache(MutableMapping):
    """JSON values by string key, as diskcache.Cache looks to its users."""

    def __init__(self, folder: Path) -> None:
        self.directory = str(folder)
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)

    def _file(self, key: Any) -> Path:
        return self._folder / f"{sha256(str(key).encode()).hexdigest()}.json"

    def __getitem__(self, key: Any) -> Any:
        try:
            return json.loads(self._file(key).read_text(encoding="utf8"))["value"]
        except FileNotFoundError:
            raise KeyError(key) from None

    def __setitem__(self, key: Any, value: Any) -> None:
        text = json.dumps({"key": str(key), "value": value})
        self._file(key).write_text(text, encoding="utf8")

    def __delitem__(self, key: Any) -> None:
        self._file(key).unlink()

    def __iter__(self):
        for file in sorted(self._folder.glob("*.json")):
            yield json.loads(file.read_text(encoding="utf8"))["key"]

    def __len__(self) -> int:
        return len(list(self._folder.glob("*.json")))


def cache(subsection: str) -> Cache:
    with _lock:
        if subsection not in caches:
            caches[subsection] = Cache(Path(data_path) / "cache" / subsection)
        return caches[subsection]


def cached_data_for_file(subsection: str, title: str, filename: str, func: Callable) -> Any:
    """The stored value while the file's time is unchanged, else func's; None is no value."""
    stored = cache(subsection)
    mtime = Path(filename).stat().st_mtime
    entry = stored.get(title)
    if entry is not None and entry.get("mtime", 0) >= mtime and entry.get("value") is not None:
        return entry["value"]
    value = func()
    if value is None:
        return None
    stored[title] = {"mtime": mtime, "value": value}
    return value


def dump_cache() -> None:
    pass
