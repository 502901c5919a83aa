"""Saved styles for tests: random, small and sound."""

import torch

from lib_instantstyle.models.clip_kind import ImageEncoderKind
from lib_instantstyle.styles.file import Style
from lib_instantstyle.styles.header import StyleInfo

KIND = ImageEncoderKind("Hugging Face", 80, 3, 320, 14, 28, 32)  # 5 tokens
INFO = StyleInfo(
    encoder="CLIP-ViT-H-14",
    kind=KIND,
    adapter="ip-adapter_sdxl_vit-h",
    references=("a" * 64, "b" * 64),
    weights=(1.0, 0.5),
    created="2024-05-31T12:00:00Z",
    settings={"weight": 0.8, "preset": "style+layout"},
    thumbnail=b"\xff\xd8 a picture",
)


def style(info=INFO, scale=1.0):
    torch.manual_seed(0)
    count = len(info.references)
    return Style(
        info,
        torch.randn(count + 1, 32) if info.kind.embedding_width else None,
        torch.randn(count + 1, 5, 80) * scale,
        torch.randn(80),
    )
