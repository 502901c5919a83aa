"""What a model file is, by the names and shapes of its tensors alone.

File names say nothing reliable: people rename. Adapters are told apart as IP-Adapter's own
loaders build them; image towers as Hugging Face's CLIPVisionModelWithProjection stores them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lib_instantstyle.pure.layers import LAYOUTS, Layout
from lib_instantstyle.pure.safetensors_header import TensorInfo

Tensors = Mapping[str, TensorInfo]

LINEAR = "linear"
_KEY_VALUE = re.compile(r"^ip_adapter\.(\d+)\.to_k_ip\.weight$")
_TOWER_LAYER = re.compile(r"^vision_model\.encoder\.layers\.(\d+)\.mlp\.fc1\.weight$")


@dataclass(frozen=True)
class AdapterKind:
    """An IP-Adapter, described by its shapes."""

    projection: str  # LINEAR, or what else it is, in words for people
    context_width: int  # C: 768 for SD1.x, 2048 for SDXL
    layer_widths: Mapping[int, int]  # adapter number N -> width h of that layer
    embedding_width: int = 0  # E: of the CLIP image vector (1024 ViT-H, 1280 ViT-bigG)
    tokens: int = 0  # T: image tokens

    @property
    def layout(self) -> Layout | None:
        """The block layout whose adapter numbers the file holds in full."""
        for layout in LAYOUTS.values():
            if self.layer_widths.keys() == layout.by_number.keys():
                return layout
        return None


@dataclass(frozen=True)
class TowerKind:
    """A CLIP image encoder, described by its shapes."""

    width: int
    layers: int
    mlp_width: int
    patch: int
    image_size: int
    embedding_width: int  # E


def adapter_kind(tensors: Tensors) -> AdapterKind | None:
    """The IP-Adapter that `tensors` make up, or None if they are something else.

    Order of the checks after diffusers, src/diffusers/loaders/unet.py.
    """
    widths: dict[int, int] = {}
    context_width = 0
    for name, tensor in tensors.items():
        match = _KEY_VALUE.match(name)
        if not match or len(tensor.shape) != 2:
            continue
        value = tensors.get(name.replace("to_k_ip", "to_v_ip"))
        if value is None or value.shape != tensor.shape:
            continue
        widths[int(match.group(1))], context_width = tensor.shape
    if not widths:
        return None
    projection = _projection(tensors)
    if projection != LINEAR:
        return AdapterKind(projection, context_width, widths)
    rows, embedding_width = tensors["image_proj.proj.weight"].shape
    if rows % context_width:
        return AdapterKind("adapter of an unknown kind", context_width, widths)
    return AdapterKind(LINEAR, context_width, widths, embedding_width, rows // context_width)


def _projection(tensors: Tensors) -> str:
    def has(name: str, dimensions: int) -> bool:
        tensor = tensors.get(f"image_proj.{name}")
        return tensor is not None and len(tensor.shape) == dimensions

    if has("proj.weight", 2) and has("norm.weight", 1):
        return LINEAR
    if has("proj.3.weight", 1):
        return "full-face (MLP) adapter"
    if has("perceiver_resampler.proj_in.weight", 2):
        return "FaceID-Plus adapter"
    if has("proj.0.weight", 2) and has("norm.weight", 1):
        return "FaceID adapter"
    if has("latents", 3) and has("proj_in.weight", 2):
        columns = tensors["image_proj.proj_in.weight"].shape[1]
        return "InstantID adapter" if columns == 512 else "plus (Resampler) adapter"
    return "adapter of an unknown kind"


def tower_kind(tensors: Tensors) -> TowerKind | None:
    """The CLIP image encoder in `tensors`, or None."""
    patch = tensors.get("vision_model.embeddings.patch_embedding.weight")
    positions = tensors.get("vision_model.embeddings.position_embedding.weight")
    projection = tensors.get("visual_projection.weight")
    mlps = {int(m.group(1)): t for n, t in tensors.items() if (m := _TOWER_LAYER.match(n))}
    if patch is None or positions is None or projection is None or not mlps:
        return None
    if (len(patch.shape), len(positions.shape), len(projection.shape)) != (4, 2, 2):
        return None
    side = round((positions.shape[0] - 1) ** 0.5)
    if side * side + 1 != positions.shape[0] or sorted(mlps) != list(range(len(mlps))):
        return None
    return TowerKind(
        width=patch.shape[0],
        layers=len(mlps),
        mlp_width=mlps[0].shape[0],
        patch=patch.shape[-1],
        image_size=side * patch.shape[-1],
        embedding_width=projection.shape[0],
    )
