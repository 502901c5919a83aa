"""Prompts to what the UNet is conditioned on: text embedders and SDXL's conditioner."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from . import tokenizer
from .text import CLIPTextModel, OpenCLIPText, TextConfig
from .unet import timestep_embedding


class TextEmbedder(nn.Module):
    """Encodes texts of any length in chunks of 75 tokens, as the WebUI does."""

    input_key = "txt"
    return_pooled = False
    chunk_length = tokenizer.CHUNK
    pad = tokenizer.EOS

    @property
    def wrapped(self) -> TextEmbedder:
        """The WebUI hides the plain embedder behind a wrapper of this name."""
        return self

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def token_rows(self, texts: Sequence[str]) -> list[Tensor]:
        """One int64 tensor [B, 77] per chunk."""
        batches = tokenizer.token_batches(list(texts), self.pad)
        return [torch.tensor(rows, device=self.device) for rows in batches]

    def get_target_prompt_token_count(self, token_count: int) -> int:
        """75, 150, ...: what the page's token counter shows as its limit."""
        return -(-max(token_count, 1) // self.chunk_length) * self.chunk_length

    def token_count(self, text: str) -> int:
        return len(tokenizer.word_ids(text))

    id_start = tokenizer.BOS
    id_end = tokenizer.EOS

    @property
    def id_pad(self) -> int:
        return self.pad

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, without start, end and padding."""
        return [tokenizer.word_ids(text) for text in texts]


class ClipEmbedder(TextEmbedder):
    """CLIP-L. Texts -> [B, 77 n, width]; `penultimate` is SDXL's choice of hidden state."""

    def __init__(self, cfg: TextConfig, penultimate: bool = False) -> None:
        super().__init__()
        self.layer = "hidden" if penultimate else "last"
        self.transformer = CLIPTextModel(cfg)

    def forward(self, texts: Sequence[str]) -> Tensor:
        rows = self.token_rows(texts)
        return torch.cat([self.encode_with_transformers(t) for t in rows], dim=1)

    def encode_with_transformers(self, tokens: Tensor) -> Tensor:
        """Tokens [B, 77] -> [B, 77, width]."""
        return self.transformer(tokens)[1 if self.layer == "hidden" else 0]


class OpenClipEmbedder(TextEmbedder):
    """OpenCLIP's tower. Texts -> (z [B, 77 n, width], pooled [B, embed_dim] of the first chunk)."""

    return_pooled = True
    layer = "penultimate"
    pad = 0

    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.model = OpenCLIPText(cfg)

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        hidden, pooled = zip(*(self.model(t) for t in self.token_rows(texts)), strict=True)
        return torch.cat(hidden, dim=1), pooled[0]

    def encode_with_transformers(self, tokens: Tensor) -> Tensor:
        """Tokens [B, 77] -> z [B, 77, width] that carries `.pooled` [B, embed_dim]."""
        z, pooled = self.model(tokens)
        z.pooled = pooled
        return z


class SizeEmbedder(nn.Module):
    """Sinusoidal features of a few integers. [B, n] -> [B, n * outdim]."""

    def __init__(self, input_key: str, outdim: int = 256) -> None:
        super().__init__()
        self.input_key = input_key
        self.outdim = outdim

    def forward(self, sizes: Tensor) -> Tensor:
        return timestep_embedding(sizes.flatten(), self.outdim).reshape(len(sizes), -1)


class Conditioner(nn.Module):
    """SDXL's `conditioner`: both text towers and three pairs of sizes, keys `embedders.N.*`."""

    def __init__(self, clip: TextConfig, open_clip: TextConfig) -> None:
        super().__init__()
        self.embedders = nn.ModuleList(
            [
                ClipEmbedder(clip, penultimate=True),
                OpenClipEmbedder(open_clip),
                SizeEmbedder("original_size_as_tuple"),
                SizeEmbedder("crop_coords_top_left"),
                SizeEmbedder("target_size_as_tuple"),
            ]
        )

    def forward(self, batch: dict, force_zero_embeddings: Sequence[str] = ()) -> dict[str, Tensor]:
        """`txt`: texts; the sizes: [B, 2] each. -> crossattn [B, 77 n, C], vector [B, adm]."""
        cross, vectors = [], []
        for embedder in self.embedders:
            out = embedder(batch[embedder.input_key])
            parts = out if isinstance(out, tuple) else (out,)
            for part in parts:
                if embedder.input_key in force_zero_embeddings:
                    part = torch.zeros_like(part)
                (cross if part.dim() == 3 else vectors).append(part)
        dtype = cross[0].dtype
        return {
            "crossattn": torch.cat(cross, dim=2),
            "vector": torch.cat([v.to(dtype) for v in vectors], dim=1),
        }

    def token_count(self, text: str) -> int:
        return self.embedders[0].token_count(text)

    def get_target_prompt_token_count(self, token_count: int) -> int:
        return self.embedders[0].get_target_prompt_token_count(token_count)


def sdxl_batch(texts: Sequence[str], device: torch.device) -> dict:
    """What the WebUI hands to SDXL's conditioner. `texts` may carry `.width` and `.height`."""
    width = getattr(texts, "width", None) or 1024
    height = getattr(texts, "height", None) or 1024
    size = torch.tensor([[height, width]], device=device).repeat(len(texts), 1)
    return {
        "txt": texts,
        "original_size_as_tuple": size,
        "crop_coords_top_left": torch.zeros_like(size),
        "target_size_as_tuple": size,
    }
