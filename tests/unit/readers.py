"""Whatever reads what strangers wrote, by the kind of thing that is read."""

from __future__ import annotations

import json
import struct
import tempfile
from pathlib import Path

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.json_text import UnreadableJson, read_json
from lib_instantstyle.files.model_file import read_tensors
from lib_instantstyle.methods import TABLE
from lib_instantstyle.methods.b_lora.layers import lora_halves
from lib_instantstyle.styles.names import check_name
from lib_instantstyle.styles.tags import parse_tag, tags_in
from lib_instantstyle.units.block_weights import parse_block_weights
from lib_instantstyle.units.infotext import text_to_unit
from tests.unit.steps import lines_of


def safetensors(header):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text


def entry(shape=(0,)):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [0, 0]}


def in_memory(data):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.bin")
        path.write_bytes(data)
        return read_tensors(path)


READERS = {
    "infotext": lambda given: text_to_unit(given, TABLE),
    "model file": lambda given: in_memory(given),
    "blocks": parse_block_weights,
    "tags": lambda given: [parse_tag(tag, TABLE) for tag in tags_in(given)],
    "JSON": read_json,
    "names": check_name,
    "unit": lambda given: TABLE.parse_unit(given),
    "LoRA": lambda given: lora_halves(dict.fromkeys(given)),
}


def work(reader, given):
    """The steps that it takes to read `given`, or to refuse it with a sentence."""

    def read_or_refuse():
        try:
            READERS[reader](given)
        except (InstantStyleError, UnreadableJson) as error:
            assert len(str(error)) < 3000

    return lines_of(read_or_refuse)
