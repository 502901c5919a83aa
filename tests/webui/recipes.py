"""The requests in docs/recipes.md, with pictures in the place of the words in capitals."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"
LORA = "watercolour"  # as the document calls one


def recipes() -> dict[str, list[dict[str, Any]]]:
    """The bodies of the requests under each heading."""
    found = {}
    for part in re.split(r"^## ", DOCUMENT.read_text(encoding="utf-8"), flags=re.M)[1:]:
        bodies = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", part, re.DOTALL)]
        if bodies:
            found[part.partition("\n")[0]] = bodies
    return found


def with_pictures(value: Any, pictures: dict[str, str]) -> Any:
    """`value` with every name of a picture replaced by it."""
    if isinstance(value, dict):
        return {key: with_pictures(x, pictures) for key, x in value.items()}
    if isinstance(value, list):
        return [with_pictures(x, pictures) for x in value]
    if isinstance(value, str) and value.isupper() and value.isalpha():
        return pictures[value]
    return value
