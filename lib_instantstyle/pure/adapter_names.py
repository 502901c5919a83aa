"""The names of an IP-Adapter's tensors, whoever saved it.

Released files say `image_proj.*` and `ip_adapter.N.*`. Those saved straight from training say
`image_proj_model.*` and `adapter_modules.N.*`, sometimes beside a whole `unet.*`. The numbering
is the same. Source: tencent-ailab/IP-Adapter, README and training scripts.
"""

from __future__ import annotations

from collections.abc import Iterable

PROJECTION_PREFIX, ATTENTION = "image_proj.", "ip_adapter."
_PREFIXES = (  # as released first: where a file has both, that half was meant to be used
    (PROJECTION_PREFIX, PROJECTION_PREFIX),
    (ATTENTION, ATTENTION),
    ("image_proj_model.", PROJECTION_PREFIX),
    ("adapter_modules.", ATTENTION),
)


def adapter_names(names: Iterable[str]) -> dict[str, str]:
    """Released name -> name in the file, for every tensor that belongs to an adapter."""
    found: dict[str, str] = {}
    names = list(names)
    for prefix, released in _PREFIXES:
        for name in names:
            if name.startswith(prefix):
                found.setdefault(released + name.removeprefix(prefix), name)
    return found
