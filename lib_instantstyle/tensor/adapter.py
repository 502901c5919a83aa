"""IP-Adapter files: from a picture's CLIP feature to image tokens, and on to keys and values.

Source: Ye et al. 2023, arXiv 2308.06721; tencent-ailab/IP-Adapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch

from lib_instantstyle.pure.adapter_kind import AdapterKind
from lib_instantstyle.pure.adapter_names import adapter_names
from lib_instantstyle.tensor.files import fill, open_tensors
from lib_instantstyle.tensor.projections import build_projection


def image_tokens(
    path: Path, kind: AdapterKind, features: torch.Tensor, device: torch.device
) -> torch.Tensor:
    """The adapter's tokens for what it takes of pictures: [S, T, C] in float32.

    features: [S, E] or [S, N, W] (see embedding.ImageEmbeds.features). The tokens of the zero
    vector or the zero image are not zero, for biases and LayerNorm act on them.
    Raises InstantStyleError if a tensor is missing, misshapen or not finite.
    """
    with torch.device("meta"):
        projection = build_projection(kind.projection)
    with open_tensors(path, adapter_names) as read:
        tensors = {
            name: read(f"image_proj.{name}").to(device=device, dtype=torch.float32)
            for name, _ in projection.named_parameters()
        }
    fill(projection, tensors, path.name)
    tokens: torch.Tensor = projection(features.to(device=device, dtype=torch.float32))
    return tokens


def keys_and_values(
    path: Path, numbers: Iterable[int], tokens: torch.Tensor
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """K and V of the layers `numbers`, each [S, T, h] in float32 for tokens [S, T, C].

    Only these layers are read from the file, and their weights are let go one after the other.
    """
    found = {}
    with open_tensors(path, adapter_names) as read:
        for number in numbers:
            key, value = (
                tokens @ read(f"ip_adapter.{number}.{end}.weight").to(tokens).T
                for end in ("to_k_ip", "to_v_ip")
            )
            found[number] = (key, value)
    return found
