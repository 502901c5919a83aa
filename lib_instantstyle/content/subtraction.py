"""Taking the content out of a reference's image vector.

InstantStyle subtracts the CLIP vector of a text that names the content from the image vector,
before the adapter's projection; both are in one space. Neither vector is normalised.
Source: Wang et al. 2024, arXiv 2404.02733, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.models.catalog import AdapterFile
from lib_instantstyle.units.choices import PROJECTION
from lib_instantstyle.units.unit import Unit

SEPARATOR = "|"


def content_texts(content: str) -> list[str]:
    """The texts in a `content` field: `|` separates several."""
    return [text.strip() for text in content.split(SEPARATOR) if text.strip()]


def remove_content(
    image: torch.Tensor, texts: Sequence[torch.Tensor], scale: float, mode: str
) -> torch.Tensor:
    """Image vectors [..., E] without the content that the text vectors [E] name.

    Several texts are averaged. "difference": image - scale * text. "projection": image - scale *
    (image . u) u with the unit vector u of the text; only what points along the text is removed.
    """
    if not texts or not scale:
        return image
    text = torch.stack([t.to(image) for t in texts]).mean(dim=0)
    if mode == PROJECTION:
        unit = text / text.norm().clamp_min(torch.finfo(text.dtype).tiny)
        text = (image @ unit).unsqueeze(-1) * unit
    left: torch.Tensor = image - scale * text
    return left


def without_content(
    image: torch.Tensor, unit: Unit, adapter: AdapterFile, context: Context
) -> torch.Tensor:
    """The image vectors `image` [..., E] without the content that `unit` names, if it names any.

    For prompt rows only; those of negative rows stay as they are. Raises InstantStyleError if no
    fitting text encoder is found, or `adapter` takes no image vectors.
    """
    texts = content_texts(unit.content)
    if not texts or not unit.content_scale:
        return image
    check_subtraction(adapter)
    source = content_source(adapter.kind.projection.feature_width, unit.clip_source, context)
    if source.comment:
        context.notify(source.comment)
    vectors = source.encoder.vectors(texts)
    return remove_content(image, list(vectors), unit.content_scale, unit.content_mode)


def check_subtraction(adapter: AdapterFile) -> None:
    """Raise InstantStyleError if `adapter` takes hidden states, from which no text can be taken."""
    if adapter.kind.projection.takes_hidden_states:
        raise InstantStyleError(
            f"content cannot be taken out with adapter {adapter.name}, which sees patches instead "
            "of one image vector; name the content by a negative_image, cut it off with a "
            "reference_mask, choose a linear adapter such as ip-adapter_sdxl, or clear content."
        )


def describe_subtraction(unit: Unit, adapter: AdapterFile, context: Context) -> str:
    """One line of a plan: what would be subtracted, by which text encoder; "" if nothing would.

    Raises InstantStyleError as `without_content` does.
    """
    texts = content_texts(unit.content)
    if not texts or not unit.content_scale:
        return ""
    check_subtraction(adapter)
    source = content_source(adapter.kind.projection.feature_width, unit.clip_source, context)
    named = " and ".join(map(repr, texts))
    compared = "" if source.agreement is None else f" (agreement {source.agreement:.2f})"
    line = (
        f"{unit.content_scale:g} times {named} ({unit.content_mode}), read by "
        f"{source.encoder.title}{compared}"
    )
    return f"{line}. {source.comment}" if source.comment else f"{line}."
