"""The denoising UNet of SD1.5 and SDXL, small enough for a CPU, with a real checkpoint's keys."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attention import SpatialTransformer


@dataclass(frozen=True)
class UNetConfig:
    """Shape of a UNet. `depth` counts the transformer blocks per level (0: no attention there)."""

    model_channels: int
    channel_mult: tuple[int, ...]
    depth: tuple[int, ...]
    depth_middle: int
    context_dim: int
    in_channels: int = 4
    out_channels: int = 4
    num_res_blocks: int = 2
    num_heads: int | None = 8
    num_head_channels: int | None = None
    linear_projection: bool = False
    adm_in_channels: int | None = None

    def heads(self, channels: int) -> tuple[int, int]:
        """(heads, channels of one head) of an attention layer with `channels` channels."""
        if self.num_head_channels is not None:
            return channels // self.num_head_channels, self.num_head_channels
        if self.num_heads is None:
            raise ValueError("a UNetConfig needs num_heads or num_head_channels")
        return self.num_heads, channels // self.num_heads


SDXL_TINY = UNetConfig(
    model_channels=32,
    channel_mult=(1, 1, 2),
    depth=(0, 2, 10),
    depth_middle=10,
    context_dim=64 + 256,
    num_heads=None,
    num_head_channels=16,
    linear_projection=True,
    adm_in_channels=256 + 6 * 256,
)
SD15_TINY = UNetConfig(
    model_channels=32,
    channel_mult=(1, 2, 2, 2),
    depth=(1, 1, 1, 0),
    depth_middle=1,
    context_dim=64,
    num_heads=8,
)


def timestep_embedding(timesteps: Tensor, dim: int, max_period: float = 10000.0) -> Tensor:
    """Sinusoids, cosines first. timesteps [N], fractions allowed -> float32 [N, dim]."""
    half = dim // 2
    exponent = torch.arange(half, dtype=torch.float32, device=timesteps.device) / half
    angles = timesteps.float()[:, None] * torch.exp(-math.log(max_period) * exponent)
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


class ResBlock(nn.Module):
    """Two convolutions with the time embedding added between. x [B, Cin, H, W], emb [B, E]."""

    def __init__(self, channels: int, emb_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            nn.GroupNorm(32, channels), nn.SiLU(), nn.Conv2d(channels, out_channels, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(emb_channels, out_channels))
        self.out_layers = nn.Sequential(
            nn.GroupNorm(32, out_channels),
            nn.SiLU(),
            nn.Dropout(0.0),
            nn.Conv2d(out_channels, out_channels, 3, padding=1),
        )
        same = channels == out_channels
        self.skip_connection = nn.Identity() if same else nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class Downsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.op = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class TimestepEmbedSequential(nn.Sequential):
    """Hands each child what it takes: the time embedding, the prompt, or only the features."""

    def forward(self, x: Tensor, emb: Tensor, context: Tensor | None = None) -> Tensor:
        for layer in self:
            if isinstance(layer, ResBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            else:
                x = layer(x)
        return x


class UNetModel(nn.Module):
    """`input_blocks`, `middle_block`, `output_blocks`; numbered as in ldm and sgm."""

    def __init__(self, cfg: UNetConfig) -> None:
        super().__init__()
        self.cfg = cfg
        self.in_channels = cfg.in_channels
        self.out_channels = cfg.out_channels
        self.model_channels = cfg.model_channels
        self.num_classes = "sequential" if cfg.adm_in_channels else None
        width = cfg.model_channels
        emb = 4 * width

        self.time_embed = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb))
        if cfg.adm_in_channels:
            self.label_emb = nn.Sequential(
                nn.Sequential(nn.Linear(cfg.adm_in_channels, emb), nn.SiLU(), nn.Linear(emb, emb))
            )

        stem = nn.Conv2d(cfg.in_channels, width, 3, padding=1)
        self.input_blocks = nn.ModuleList([TimestepEmbedSequential(stem)])
        skips = [width]  # channels of every input block's output, consumed in reverse below
        channels = width
        last = len(cfg.channel_mult) - 1
        for level, mult in enumerate(cfg.channel_mult):
            for _ in range(cfg.num_res_blocks):
                layers: list[nn.Module] = [ResBlock(channels, emb, mult * width)]
                channels = mult * width
                layers += self._transformer(channels, cfg.depth[level])
                self.input_blocks.append(TimestepEmbedSequential(*layers))
                skips.append(channels)
            if level != last:
                self.input_blocks.append(TimestepEmbedSequential(Downsample(channels)))
                skips.append(channels)

        self.middle_block = TimestepEmbedSequential(
            ResBlock(channels, emb, channels),
            *self._transformer(channels, cfg.depth_middle),
            ResBlock(channels, emb, channels),
        )

        self.output_blocks = nn.ModuleList()
        for level, mult in reversed(list(enumerate(cfg.channel_mult))):
            for i in range(cfg.num_res_blocks + 1):
                layers = [ResBlock(channels + skips.pop(), emb, mult * width)]
                channels = mult * width
                layers += self._transformer(channels, cfg.depth[level])
                if level and i == cfg.num_res_blocks:
                    layers.append(Upsample(channels))
                self.output_blocks.append(TimestepEmbedSequential(*layers))

        self.out = nn.Sequential(
            nn.GroupNorm(32, channels),
            nn.SiLU(),
            nn.Conv2d(channels, cfg.out_channels, 3, padding=1),
        )

    def _transformer(self, channels: int, depth: int) -> list[SpatialTransformer]:
        if not depth:
            return []
        heads, dim_head = self.cfg.heads(channels)
        cfg = self.cfg
        return [
            SpatialTransformer(
                channels, heads, dim_head, depth, cfg.context_dim, cfg.linear_projection
            )
        ]

    @property
    def dtype(self) -> torch.dtype:
        return self.out[2].weight.dtype

    def forward(
        self,
        x: Tensor,
        timesteps: Tensor | None = None,
        context: Tensor | None = None,
        y: Tensor | None = None,
        **kwargs,
    ) -> Tensor:
        """x [B, in, H, W], timesteps [B], context [B, S, C], y [B, adm] -> [B, out, H, W]."""
        if (y is None) != (self.num_classes is None):
            need = "needs" if self.num_classes else "takes no"
            raise ValueError(f"this UNet {need} y, the vector of pooled text and sizes")
        emb = self.time_embed(timestep_embedding(timesteps, self.model_channels).to(x.dtype))
        if y is not None:
            emb = emb + self.label_emb(y)
        skips = []
        h = x
        for block in self.input_blocks:
            h = block(h, emb, context)
            skips.append(h)
        h = self.middle_block(h, emb, context)
        for block in self.output_blocks:
            h = block(torch.cat([h, skips.pop()], dim=1), emb, context)
        return self.out(h)
