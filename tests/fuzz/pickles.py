"""Operations of pickles, those that build data and those that would run something."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

short_text = st.text(max_size=6).map(
    lambda t: b"X" + struct.pack("<I", len(t.encode())) + t.encode()
)
operations = st.sampled_from(
    [b"(", b"t", b"}", b"]", b")", b"N", b"\x88", b"\x89", b"a", b"e", b"s", b"u", b"R", b"Q", b"b",
     b"0", b"q\0", b"h\0", b"r\1\0\0\0", b"j\1\0\0\0", b"K\2", b"M\2\0", b"J\2\0\0\0", b"\x85",
     b"\x86", b"\x87", b"\x8a\x01\x05", b"G?\xf0\0\0\0\0\0\0", b".", b"\x80\x02",
     b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n", b"cos\nsystem\n",
     b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
     b"c__builtin__\neval\n", b"L9\nL.", b"\x8c\x01a"]
) | short_text  # fmt: skip
