"""One flat table of names from the nested dictionaries that pickled model files hold.

`{"ip_adapter": {"1.to_k_ip.weight": ...}}` becomes `ip_adapter.1.to_k_ip.weight`, which is how a
.safetensors file names the same tensor. Training scripts put everything into one more dictionary
called `state_dict`; that one is left out of the names.
"""

from __future__ import annotations

from collections.abc import Mapping

MAX_DEPTH = 4
MAX_VISITS = 200_000  # dictionaries of a stranger may hold one another
_WRAPPER = "state_dict"


def flatten(content: object) -> dict[str, object]:
    """Name -> value for everything in `content` that is no dictionary itself."""
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPER), Mapping):
        content = content[_WRAPPER]
    found: dict[str, object] = {}
    visits = 0
    level = [("", content)]
    for _ in range(MAX_DEPTH):
        deeper: list[tuple[str, object]] = []
        for prefix, table in level:
            if not isinstance(table, Mapping):
                continue
            for key, value in table.items():
                visits += 1
                if visits > MAX_VISITS:
                    return found
                if isinstance(value, Mapping):
                    deeper.append((f"{prefix}{key}.", value))
                else:
                    found[f"{prefix}{key}"] = value
        level = deeper
    return found
