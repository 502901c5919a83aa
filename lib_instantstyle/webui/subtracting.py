"""The content that a unit names, taken out of its reference."""

from __future__ import annotations

from typing import Any

import torch

from lib_instantstyle.hosts import Host
from lib_instantstyle.pure.catalog import AdapterFile
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.content import content_texts, remove_content


def without_content(
    image: torch.Tensor, unit: Unit, adapter: AdapterFile, host: Host, p: Any
) -> torch.Tensor:
    """The feature of a reference without what `unit.content` names; as it is if that is empty.

    image: [E], the CLIP image vector. Prompt rows only: the negative rows' zero vector stays.
    Raises InstantStyleError where no fitting text encoder is loaded, or nothing can be subtracted.
    """
    texts = content_texts(unit.content)
    if not texts or not unit.content_scale:
        return image
    if adapter.kind.projection.takes_hidden_states:
        raise InstantStyleError(
            f"content cannot be taken out with adapter {adapter.name}, which sees patches instead "
            "of one image vector; choose a linear adapter such as ip-adapter_sdxl, or clear it."
        )
    vectors = [host.text_vector(p, text) for text in texts]
    fitting = [vector for vector in vectors if vector is not None and len(vector) == len(image)]
    if len(fitting) != len(texts):
        raise InstantStyleError(
            f"content cannot be taken out with adapter {adapter.name}: the loaded checkpoint has "
            f"no text encoder whose vectors have {len(image)} numbers as its image encoder's; use "
            "an SDXL checkpoint with ip-adapter_sdxl and ViT-bigG/14, or clear it."
        )
    return remove_content(image, fitting, unit.content_scale, unit.content_mode)
