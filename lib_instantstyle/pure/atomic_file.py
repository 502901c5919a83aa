"""Files that are either there in full or not at all."""

from __future__ import annotations

import uuid
from pathlib import Path

TEMPORARY = ".tmp"


def write_file(path: Path, data: bytes) -> None:
    """Write `data` to `path`, in place of what is there, making its folder if need be.

    Whoever reads at the same time sees the old file or the new one. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}{TEMPORARY}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
