"""The ways to get a style into a picture, each a folder of its own.

A method declares its fields in `<name>/fields.py`, without torch, and is loaded from
`<name>/method.py` when it is used. Nobody else imports a method's folder.
"""

from __future__ import annotations

from lib_instantstyle.methods.b_lora.fields import DECLARED as B_LORA
from lib_instantstyle.methods.ip_adapter.fields import DECLARED as IP_ADAPTER
from lib_instantstyle.methods.stylealigned.fields import DECLARED as STYLE_ALIGNED
from lib_instantstyle.methods.styleid.fields import DECLARED as STYLEID
from lib_instantstyle.methods.swap.fields import DECLARED as SWAP
from lib_instantstyle.units.unit import Table

# The first is the usual one.
TABLE = Table((IP_ADAPTER, STYLEID, STYLE_ALIGNED, SWAP, B_LORA))

__all__ = ["B_LORA", "IP_ADAPTER", "STYLEID", "STYLE_ALIGNED", "SWAP", "TABLE"]
