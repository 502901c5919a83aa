"""One family of tiny models for all tests that a user runs, linked into the data folder of each."""

from __future__ import annotations

import getpass
import tempfile
from pathlib import Path

from .family import make_family

FAMILY = Path(tempfile.gettempdir()) / f"miniature-family-{getpass.getuser()}"


def link_family(data: Path, family: Path = FAMILY) -> None:
    """Link the models of `family`, made if need be, into the models folder of `data`.

    What an extension writes among the models then stays in one session.
    """
    shared = family.resolve() / "models"
    for made in make_family(family).values():
        for file in (made, made.with_suffix(".yaml")):
            if file.exists():
                link = data / "models" / file.relative_to(shared)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file)
