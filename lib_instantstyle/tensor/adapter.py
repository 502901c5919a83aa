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
    path: Path,
    kind: AdapterKind,
    feature: torch.Tensor,
    device: torch.device,
    zero_image: torch.Tensor | None = None,
) -> torch.Tensor:
    """Tokens for prompt rows and for negative-prompt rows: [2, T, C], float32.

    feature: what the adapter takes of the reference, [E] or [N, W] (see embedding.feature_of).
    zero_image: the same of the picture that is zero after CLIP's normalisation. Negative rows get
    what the adapter saw in training where the picture was dropped: the projection of that, or for
    a linear adapter of the zero vector. Neither is zero, for biases and LayerNorm act on it.
    Raises InstantStyleError if a tensor is missing, misshapen or not finite.
    """
    if not kind.projection.takes_hidden_states:
        zero_image = torch.zeros_like(feature)
    elif zero_image is None:
        raise ValueError("an adapter that takes hidden states needs those of the zero image")
    with torch.device("meta"):
        projection = build_projection(kind.projection)
    with open_tensors(path, adapter_names) as read:
        tensors = {
            name: read(f"image_proj.{name}").to(device=device, dtype=torch.float32)
            for name, _ in projection.named_parameters()
        }
    fill(projection, tensors, path.name)
    features = torch.stack([feature, zero_image]).to(device=device, dtype=torch.float32)
    tokens: torch.Tensor = projection(features)
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
