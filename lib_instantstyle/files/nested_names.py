"""One flat table of names from the nested dictionaries that pickled model files hold.

`{"ip_adapter": {"1.to_k_ip.weight": ...}}` becomes `ip_adapter.1.to_k_ip.weight`, which is how a
.safetensors file names the same tensor. Training scripts put everything into one more dictionary
called `state_dict`; that one is left out of the names.
"""

from __future__ import annotations

from collections.abc import Mapping

from lib_instantstyle import limits
from lib_instantstyle.files.pickle_reader import UnreadablePickle

_WRAPPER = "state_dict"


def flatten(content: object) -> dict[str, object]:
    """Name -> value for everything in `content` that is no dictionary itself.

    Raises UnreadablePickle where that is too much: dictionaries of a stranger may hold one another.
    """
    if isinstance(content, Mapping) and isinstance(content.get(_WRAPPER), Mapping):
        content = content[_WRAPPER]
    found: dict[str, object] = {}
    visits = 0
    level = [("", content)]
    for _ in range(limits.PICKLE_NESTING):
        deeper: list[tuple[str, object]] = []
        for prefix, table in level:
            if not isinstance(table, Mapping):
                continue
            for key, value in table.items():
                visits += 1
                if visits > limits.PICKLE_ENTRIES:
                    raise UnreadablePickle(
                        f"its table of contents has more than {limits.PICKLE_ENTRIES:,} entries"
                    )
                name = _joined(prefix, key)
                if isinstance(value, Mapping):
                    deeper.append((f"{name}.", value))
                else:
                    found[name] = value
        level = deeper
    return found


def _joined(prefix: str, key: object) -> str:
    """Asked for each entry below `prefix`, so that none of them may be long."""
    if isinstance(key, str) and len(prefix) + len(key) <= limits.TENSOR_NAME:
        return prefix + key
    if isinstance(key, int) and key.bit_length() <= 64:  # an optimiser counts what it holds
        return f"{prefix}{key}"
    raise UnreadablePickle(
        f"its table of contents has a name of more than {limits.TENSOR_NAME} characters"
    )
