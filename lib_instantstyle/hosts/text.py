"""Text vectors from the text encoder that the WebUI has loaded.

All WebUIs wrap OpenCLIP's text tower in a class with the same few methods. They are called below
prompt parsing, so that emphasis, textual inversions, LoRAs and the prompt's cache stay out of it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from modules import devices

from lib_instantstyle.pure.errors import InstantStyleError, shorten

MAX_TOKENS = 75


def text_vector(encoder: Any, text: str) -> torch.Tensor:
    """The pooled and projected vector of `text`: [E], float32, on the CPU, not normalised.

    Raises InstantStyleError if the text has more than 75 tokens.
    """
    (ids,) = encoder.tokenize([text])
    if len(ids) > MAX_TOKENS:
        raise InstantStyleError(
            f"content {shorten(text)} has {len(ids)} tokens; up to {MAX_TOKENS} are allowed."
        )
    padding = [encoder.id_pad] * (MAX_TOKENS - len(ids))
    tokens = [encoder.id_start, *ids, encoder.id_end, *padding]
    with torch.no_grad(), devices.autocast(), _without_lora():
        encoded = encoder.encode_with_transformers(torch.asarray([tokens], device=devices.device))
    vector: torch.Tensor = encoded.pooled[0].float().cpu()
    return vector


@contextmanager
def _without_lora() -> Iterator[None]:
    """Hide the LoRAs of the last prompt from the built-in Lora extension.

    It patches weights in place when a layer is called, and puts them back as soon as its list is
    empty; with the list back, the next call patches them again.
    """
    lora = sys.modules.get("networks")
    loaded = getattr(lora, "loaded_networks", None)
    if lora is None or not loaded:
        yield
        return
    lora.loaded_networks = []  # type: ignore[attr-defined]
    try:
        yield
    finally:
        lora.loaded_networks = loaded  # type: ignore[attr-defined]
