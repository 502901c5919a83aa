"""Sound model files and styles, and what becomes of a file that is none."""

from __future__ import annotations

import json
import struct

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensor_info import TensorInfo
from lib_instantstyle.models.clip_kind import ImageEncoderKind
from lib_instantstyle.styles.header import StyleInfo, metadata_of
from tests.unit.adapters import PROJECTIONS, Noise, attention_tensors, prefixed
from tests.unit.image_encoders import hugging_face_encoder, hugging_face_tensors, open_clip_tensors
from tests.unit.text_encoders import (
    hugging_face_text_encoder,
    hugging_face_text_tensors,
    open_clip_text_encoder,
    open_clip_text_tensors,
)


def read_or_refused(read, path, data):
    path.write_bytes(data)
    try:
        return read(path)
    except InstantStyleError as error:
        sentence = str(error)
        assert sentence.startswith(path.name) and sentence.endswith("."), sentence
        assert len(sentence) < 600
        return None


def described(tensors):
    return {name: TensorInfo("F32", tuple(t.shape), 4 * t.numel()) for name, t in tensors.items()}


def _adapters():
    noise = Noise()
    layers = attention_tensors(noise, {1: 8, 3: 8}, 16)
    for kind, projection in PROJECTIONS.items():
        sizes = (16, 24, 4) if kind == "linear" else (16, 24)
        for image, attention in (
            ("image_proj", "ip_adapter"),
            ("image_proj_model", "adapter_modules"),
        ):
            yield described(
                {**prefixed(image, projection(noise, *sizes)), **prefixed(attention, layers)}
            )


SOUND = [
    *_adapters(),
    described(hugging_face_tensors(hugging_face_encoder("H"))),
    described(open_clip_tensors("H")),
    described(hugging_face_text_tensors(hugging_face_text_encoder("H"))),
    described(open_clip_text_tensors(open_clip_text_encoder("H"))),
]
_P = "image_proj."
RELATIVES = [  # what tells the relatives that cannot serve apart
    {f"{_P}proj.0.weight": (16, 512), f"{_P}norm.weight": (16,), f"{_P}proj.2.weight": (64, 16)},
    {f"{_P}proj.0.weight": (16, 512), f"{_P}norm.weight": (16,), f"{_P}proj.2.weight": (640, 16)},
    {f"{_P}perceiver_resampler.proj_in.weight": (8, 8)},
    {f"{_P}perceiver_resampler.proj_in.weight": (8, 8),
     f"{_P}perceiver_resampler.layers.0.0.to_out.weight": (32, 8)},
    {f"{_P}latents": (1, 4, 8), f"{_P}proj_in.weight": (8, 512)},
    {f"{_P}latents": (1, 4, 8), f"{_P}proj_in.weight": (8, 64),
     f"{_P}layers.0.0.to_q.weight": (768, 2048)},
    {"ip_adapter.1.to_q_lora.down.weight": (8, 8)},
]  # fmt: skip
LAYERS = described(attention_tensors(Noise(), {1: 8, 3: 8}, 16))
SOUND += [
    {**LAYERS, **{name: TensorInfo("F32", shape, 1) for name, shape in relative.items()}}
    for relative in RELATIVES
]


INFO = StyleInfo(
    encoder="H", kind=ImageEncoderKind("Hugging Face", 4, 1, 8, 14, 28, 3), adapter="a",
    references=("1" * 64,), weights=(1.0,), created="2024-05-31T12:00:00Z",
    settings={"weight": 0.5}, thumbnail=b"jpeg",
)  # fmt: skip
METADATA = metadata_of(INFO)


def style_file(metadata, tensors):
    header, position = {"__metadata__": metadata}, 0
    for name, shape in tensors.items():
        size = 4
        for n in shape:
            size *= n
        header[name] = {
            "dtype": "F32", "shape": list(shape), "data_offsets": [position, position + size],
        }  # fmt: skip
        position += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(position)


TENSORS = {"image_vectors": (2, 3), "hidden_states": (2, 5, 4), "fingerprint": (4,)}
"""Shapes of what a style holds."""
STYLE = style_file(METADATA, TENSORS)
