"""The content that a unit names, taken out of its reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from lib_instantstyle.hosts import Host
from lib_instantstyle.pure.catalog import AdapterFile, Catalog
from lib_instantstyle.pure.errors import InstantStyleError
from lib_instantstyle.pure.units import Unit
from lib_instantstyle.tensor.content import content_texts, remove_content
from lib_instantstyle.webui.content_source import content_source


def without_content(
    image: torch.Tensor,
    unit: Unit,
    adapter: AdapterFile,
    catalog: Catalog,
    host: Host,
    p: Any,
    say: Callable[[str], None],
) -> torch.Tensor:
    """The feature of a reference without what `unit.content` names; as it is if that is empty.

    image: [..., E], CLIP image vectors. Prompt rows only: the negative rows' zero vector stays.
    say: told what the user should know. Raises InstantStyleError where no fitting text encoder is
    there, or nothing can be subtracted.
    """
    texts = content_texts(unit.content)
    if not texts or not unit.content_scale:
        return image
    check_subtraction(adapter)
    source = content_source(
        adapter.kind.projection.feature_width, unit.clip_source, catalog, host, p, say
    )
    if source.comment:
        say(source.comment)
    vectors = source.encoder.vectors(texts)
    return remove_content(image, list(vectors), unit.content_scale, unit.content_mode)


def check_subtraction(adapter: AdapterFile) -> None:
    """Raise InstantStyleError if no text can be subtracted from what `adapter` takes."""
    if adapter.kind.projection.takes_hidden_states:
        raise InstantStyleError(
            f"content cannot be taken out with adapter {adapter.name}, which sees patches instead "
            "of one image vector; name the content by a negative_image, cut it off with a "
            "reference_mask, choose a linear adapter such as ip-adapter_sdxl, or clear content."
        )


def describe_subtraction(
    unit: Unit, adapter: AdapterFile, catalog: Catalog, host: Host, p: Any
) -> str:
    """One line of a plan: what would be subtracted and who reads it; "" where nothing would.

    Raises InstantStyleError as `without_content` does.
    """
    texts = content_texts(unit.content)
    if not texts or not unit.content_scale:
        return ""
    check_subtraction(adapter)
    source = content_source(
        adapter.kind.projection.feature_width, unit.clip_source, catalog, host, p
    )
    named = " and ".join(map(repr, texts))
    compared = "" if source.agreement is None else f" (agreement {source.agreement:.2f})"
    line = (
        f"{unit.content_scale:g} times {named} ({unit.content_mode}), read by "
        f"{source.encoder.title}{compared}"
    )
    return f"{line}. {source.comment}" if source.comment else f"{line}."
