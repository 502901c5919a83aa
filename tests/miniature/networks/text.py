"""The two CLIP text towers: Hugging Face's layout (CLIP-L) and OpenCLIP's (bigG)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .tokenizer import CONTEXT, VOCABULARY


@dataclass(frozen=True)
class TextConfig:
    width: int
    layers: int
    heads: int
    embed_dim: int = 0  # of the projection; the Hugging Face text model has none
    mlp: int = 0  # 0: four times the width
    vocabulary: int = VOCABULARY

    @property
    def mlp_width(self) -> int:
        return self.mlp or 4 * self.width


CLIP_L_TINY = TextConfig(width=64, layers=2, heads=4)
# The stock architecture of open_clip named here, because a WebUI builds the tower by that name.
OPEN_CLIP_TINY_ARCH = "ViT-S-32-alt"
OPEN_CLIP_TINY = TextConfig(width=256, layers=10, heads=4, embed_dim=256)


def _attend(q: Tensor, k: Tensor, v: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """Causal attention, by a mask [N, N] where one is given. [B, N, D] each -> [B, N, D]."""
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
    mask = None if mask is None else mask.to(q.dtype)
    out = F.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None)
    return out.transpose(1, 2).flatten(2)


# Hugging Face layout


class CLIPAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out_proj(_attend(self.q_proj(x), self.k_proj(x), self.v_proj(x), self.heads))


class CLIPMLP(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.fc1(x)
        return self.fc2(h * torch.sigmoid(1.702 * h))  # OpenAI's towers use this quick GELU


class CLIPEncoderLayer(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.self_attn = CLIPAttention(cfg.width, cfg.heads)
        self.layer_norm1 = nn.LayerNorm(cfg.width)
        self.mlp = CLIPMLP(cfg.width, cfg.mlp_width)
        self.layer_norm2 = nn.LayerNorm(cfg.width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class CLIPTextEmbeddings(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(cfg.vocabulary, cfg.width)
        self.position_embedding = nn.Embedding(CONTEXT, cfg.width)
        # Old checkpoints hold this buffer, new ones do not: it is neither needed nor saved.
        ids = torch.arange(CONTEXT)[None]
        self.register_buffer("position_ids", ids, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.token_embedding(tokens) + self.position_embedding(self.position_ids)


class CLIPEncoder(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(CLIPEncoderLayer(cfg) for _ in range(cfg.layers))


class CLIPTextTransformer(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.embeddings = CLIPTextEmbeddings(cfg)
        self.encoder = CLIPEncoder(cfg)
        self.final_layer_norm = nn.LayerNorm(cfg.width)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids [B, 77] -> last hidden state after the final norm and the penultimate one
        before any norm, each [B, 77, width]."""
        x = penultimate = self.embeddings(tokens)
        for layer in self.encoder.layers:
            penultimate = x
            x = layer(x)
        return self.final_layer_norm(x), penultimate


class CLIPTextModel(nn.Module):
    """Keys `text_model.*`, as in `transformers.CLIPTextModel` of the WebUI's time."""

    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.text_model = CLIPTextTransformer(cfg)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        return self.text_model(tokens)


# OpenCLIP layout


class PackedAttention(nn.Module):
    """Keys of torch's MultiheadAttention: q, k and v in one `in_proj_weight`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width**-0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        return self.out_proj(_attend(q, k, v, self.heads, mask))


class OpenCLIPMLP(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, inner)
        self.c_proj = nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.c_proj(F.gelu(self.c_fc(x)))


class ResidualAttentionBlock(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(cfg.width)
        self.attn = PackedAttention(cfg.width, cfg.heads)
        self.ln_2 = nn.LayerNorm(cfg.width)
        self.mlp = OpenCLIPMLP(cfg.width, cfg.mlp_width)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.ln_1(x), mask)
        return x + self.mlp(self.ln_2(x))


class OpenCLIPTransformer(nn.Module):
    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ResidualAttentionBlock(cfg) for _ in range(cfg.layers))


class OpenCLIPText(nn.Module):
    """The text half of an `open_clip.CLIP`; the visual half is dropped by Stable Diffusion too."""

    def __init__(self, cfg: TextConfig) -> None:
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(CONTEXT, cfg.width) * 0.01)
        self.text_projection = nn.Parameter(torch.randn(cfg.width, cfg.embed_dim) * cfg.width**-0.5)
        self.logit_scale = nn.Parameter(torch.tensor(2.6592))
        self.transformer = OpenCLIPTransformer(cfg)
        self.token_embedding = nn.Embedding(cfg.vocabulary, cfg.width)
        self.ln_final = nn.LayerNorm(cfg.width)
        # Of all 77 tokens, as open_clip has it: shorter rows do not fit.
        mask = torch.full((CONTEXT, CONTEXT), -torch.inf).triu(1)
        self.register_buffer("attn_mask", mask, persistent=False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Token ids [B, 77] -> penultimate hidden state [B, 77, width] without a norm, and the
        pooled text vector [B, embed_dim] in the space of the image embeddings."""
        x = penultimate = self.token_embedding(tokens) + self.positional_embedding
        for block in self.transformer.resblocks:
            penultimate = x
            x = block(x, self.attn_mask)
        x = self.ln_final(x)
        end = tokens.argmax(dim=-1)  # the end-of-text id is the highest of the vocabulary
        rows = torch.arange(len(tokens), device=x.device)
        return penultimate, x[rows, end] @ self.text_projection
