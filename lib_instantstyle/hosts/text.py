"""Text vectors from the text encoder that the WebUI has loaded.

All WebUIs wrap their text encoders in a class with the same few methods. Those below the prompt
parser are called, so that emphasis, textual inversions and the prompt cache play no part.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from modules import devices
from torch import nn

from lib_instantstyle.clip.text_encoder import END, MAX_TOKENS, START, check_length
from lib_instantstyle.hosts import live

BATCH = 32  # texts
ROW = 1 + MAX_TOKENS + 1  # with the two ends


@dataclass(frozen=True)
class LoadedTextEncoder:
    """The checkpoint's text encoder, whose vectors lie in the space of image vectors.

    embedder: the WebUI's wrapper. identity: changes whenever the weights may have changed. ready:
    moves the weights to their device. without_gradients: the context in which this WebUI encodes
    prompts.
    """

    embedder: Any
    identity: str
    ready: Callable[[], None]
    without_gradients: Callable[[], AbstractContextManager[Any]] = torch.no_grad

    title = "the loaded checkpoint's text encoder"

    @property
    def width(self) -> int:
        """E, the numbers in a vector; 0 if unknown."""
        return _projected_width(self.embedder)

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> torch.Tensor:
        """The projected vectors [n, E] of `texts`, float32, on the CPU, not normalised.

        progress: called with the number of texts encoded so far. Raises InstantStyleError if a
        text has more than 75 tokens.
        """
        live.require("a text encoder")
        rows = [_row(self.embedder, text) for text in texts]
        longest = max(row.index(self.embedder.id_end) + 1 for row in rows)
        found = []
        with self.without_gradients(), devices.autocast(), _without_lora():
            self.ready()
            with _shortened(self.embedder, longest if len(rows) > BATCH else ROW) as length:
                for start in range(0, len(rows), BATCH):
                    part = [row[:length] for row in rows[start : start + BATCH]]
                    tokens = torch.asarray(part, device=devices.device)
                    found.append(_pooled(self.embedder, tokens).float().cpu())
                    if progress:
                        progress(min(start + BATCH, len(rows)))
        return torch.cat(found)


def serves(embedder: Any) -> bool:
    """Whether a text encoder of the WebUI has pooled and projected vectors."""
    if getattr(embedder, "id_pad", None) is None:
        return False
    # SDXL holds CLIP-L without and OpenCLIP bigG with a pooled output. Forge wraps nothing.
    if getattr(getattr(embedder, "wrapped", embedder), "return_pooled", False):
        return _projected_width(embedder) > 0
    return _has_unused_end(embedder)


def is_clip_tokenizer(embedder: Any) -> bool:
    """Whether a text encoder of the WebUI tokenizes as CLIP does."""
    ids = (getattr(embedder, "id_start", None), getattr(embedder, "id_end", None))
    return ids == (START, END) and hasattr(embedder, "tokenize")


def _row(embedder: Any, text: str) -> list[int]:
    """One chunk of 77 token ids."""
    (ids,) = embedder.tokenize([text])
    check_length(text, ids)
    padding = [embedder.id_pad] * (MAX_TOKENS - len(ids))
    return [embedder.id_start, *ids, embedder.id_end, *padding]


def _pooled(embedder: Any, tokens: torch.Tensor) -> torch.Tensor:
    """Token ids [B, N] to text vectors [B, E]; N is 77, or as `_shortened` yields."""
    if not _has_unused_end(embedder):
        pooled: torch.Tensor = embedder.encode_with_transformers(tokens).pooled
        return pooled
    # SD2 leaves its encoder before the last block and never projects.
    wrapped = embedder.wrapped
    left_out = wrapped.layer_idx
    wrapped.layer_idx = 0
    try:
        last = wrapped.encode_with_transformer(tokens)  # [B, N, W], behind the final norm
    finally:
        wrapped.layer_idx = left_out
    ends = last[torch.arange(len(tokens), device=last.device), tokens.argmax(dim=-1)]
    projected: torch.Tensor = ends @ wrapped.model.text_projection
    return projected


@contextmanager
def _shortened(embedder: Any, length: int) -> Iterator[int]:
    """A context in which the encoder takes rows of `length` tokens; yields how many it does take.

    Attention is causal, so what follows the end token is computed in vain: of a word's row, 72
    tokens of 77. Hugging Face's encoders, which Forge has, take any length. OpenCLIP's need their
    positions and mask cut; where these are not the known ones, the length stays 77.
    """
    transformer = getattr(getattr(embedder, "text_encoder", None), "transformer", None)
    if hasattr(transformer, "text_model"):
        yield length
        return
    model = getattr(getattr(embedder, "wrapped", None), "model", None)
    parameters, buffers = getattr(model, "_parameters", {}), getattr(model, "_buffers", {})
    positions, mask = parameters.get("positional_embedding"), buffers.get("attn_mask")
    whole = [ROW, ROW, ROW]
    if positions is None or mask is None or [len(positions), *mask.shape] != whole or length == ROW:
        yield ROW
        return
    parameters["positional_embedding"] = nn.Parameter(positions[:length], requires_grad=False)
    buffers["attn_mask"] = mask[:length, :length]
    try:
        yield length
    finally:
        parameters["positional_embedding"], buffers["attn_mask"] = positions, mask


def _has_unused_end(embedder: Any) -> bool:
    """Whether this is SD2's OpenCLIP ViT-H with the weights that SD2 itself does not use.

    Checkpoints converted from diffusers lack them, and the WebUI then leaves them zero.
    """
    wrapped = getattr(embedder, "wrapped", None)
    model: Any = getattr(wrapped, "model", None)
    projection = getattr(model, "text_projection", None)
    if getattr(wrapped, "return_pooled", False) or not hasattr(wrapped, "layer_idx"):
        return False
    if not isinstance(projection, torch.Tensor) or not projection.any():
        return False
    return bool(model.transformer.resblocks[-1].attn.out_proj.weight.any())


def _projected_width(embedder: Any) -> int:
    """OpenCLIP keeps its projection as a tensor [W, E], Hugging Face as a layer."""
    wrapped = getattr(embedder, "wrapped", None)
    transformer = getattr(getattr(embedder, "text_encoder", None), "transformer", None)
    for owner in (getattr(wrapped, "model", None), wrapped, transformer):
        projection = getattr(owner, "text_projection", None)
        if isinstance(projection, nn.Module):
            return len(projection.get_parameter("weight"))
        if isinstance(projection, torch.Tensor):
            return int(projection.shape[1])
    return 0


@contextmanager
def _without_lora() -> Iterator[None]:
    """A context in which the built-in Lora extension has none of the last prompt's LoRAs.

    It patches the weights of a layer when it is called, and restores them if its list is empty.
    With the list back, the next call patches them again.
    """
    live.require("the list of LoRAs")
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
