"""Relatives of IP-Adapter that carry no style, or fit other networks: recognised, to be refused.

Users keep these files beside the ones that serve, under any name. Each is told by tensors that
only it has. Sources: tencent-ailab/IP-Adapter (FaceID), InstantX (InstantID, SD3, Flux), Kolors,
ToTheBeginning/PuLID, XLabs (Flux), and how diffusers loads them.
"""

from __future__ import annotations

import re

from lib_instantstyle.files.tensor_info import Tensors, shape_of

_SERVES = "for style use ip-adapter_sdxl, ip-adapter-plus_sdxl_vit-h or ip-adapter_sd15"
_FACE = f"which takes a face that InsightFace recognised, not a picture's style; {_SERVES}"
_NO_CROSS_ATTENTION = (
    "whose attention has no place for the layers of SD1.5 and SDXL that InstantStyle works with; "
    f"load a checkpoint of these two, and {_SERVES}"
)
FACEID = f"is a FaceID adapter, {_FACE}, and for a likeness ip-adapter-plus-face"
PORTRAIT = f"is a FaceID-Portrait adapter, {_FACE}, and for a likeness ip-adapter-plus-face"
FACEID_PLUS = f"is a FaceID-Plus adapter, {_FACE}, and for a likeness ip-adapter-plus-face"
INSTANTID = f"is an InstantID adapter (or an unnormalised FaceID-Portrait), {_FACE}"
PULID = f"is a PuLID adapter, {_FACE}"
KOLORS = f"is a Kolors adapter, made for the UNet and the image encoder of Kolors; {_SERVES}"
KOLORS_FACEID = f"is a Kolors FaceID adapter, made for the UNet of Kolors and {_FACE}"
SD3 = f"is an adapter for Stable Diffusion 3, {_NO_CROSS_ATTENTION}"
FLUX = f"is an adapter for Flux, {_NO_CROSS_ATTENTION}"

IDENTITY_WIDTH = 512  # of InsightFace's vectors
KOLORS_WIDTH = 2048  # of the queries of Kolors' Resampler, whose attention is narrower
_PULID = re.compile(r"^(id_adapter|pulid_)|^image_proj\.(id_embedding_)?mapping")
_XLABS = re.compile(r"\.ip_adapter_(double|single)_stream_|^ip_adapter_proj_model\.")
_BIASED = re.compile(r"^ip_adapter\.\d+\.to_[kv]_ip\.bias$")
_TIMED = re.compile(r"^image_proj\.time_embedding\.|^ip_adapter\.\d+\.norm_ip\.")
_LORA = re.compile(r"^ip_adapter\.\d+\.to_(q|k|v|out)_lora\.")


def foreign_adapter(tensors: Tensors, context_width: int) -> str | None:
    """What `tensors` (released names, others as they are) belong to, as the end of a sentence.

    None if they may be an adapter that serves. context_width is 0 where none could be told.
    """
    for pattern, sentence in ((_PULID, PULID), (_XLABS, FLUX), (_BIASED, FLUX), (_TIMED, SD3)):
        if any(pattern.search(name) for name in tensors):
            return sentence
    return _by_shapes(
        {n.removeprefix("image_proj."): t for n, t in tensors.items() if n[:11] == "image_proj."},
        context_width,
        any(_LORA.match(name) for name in tensors),
    )


def _by_shapes(projection: Tensors, context_width: int, has_lora: bool) -> str | None:
    if shape_of(projection, "perceiver_resampler.proj_in.weight", 2):
        last = shape_of(projection, "perceiver_resampler.layers.0.0.to_out.weight", 2)
        # That of FaceID-Plus is as wide as the UNet's context, that of Kolors twice as wide.
        return KOLORS_FACEID if last and last[0] != context_width else FACEID_PLUS
    if {"proj.0.weight", "norm.weight"} <= projection.keys():
        last = shape_of(projection, "proj.2.weight", 2)
        many = last is not None and context_width and last[0] > 4 * context_width
        return PORTRAIT if many and not has_lora else FACEID
    if has_lora:
        return FACEID
    first = shape_of(projection, "proj_in.weight", 2)
    if shape_of(projection, "latents", 3) and first:
        if first[1] == IDENTITY_WIDTH:
            return INSTANTID
        query = shape_of(projection, "layers.0.0.to_q.weight", 2)
        if query and query[1] == KOLORS_WIDTH != query[0]:
            return KOLORS
    return None
