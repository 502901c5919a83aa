"""The content of a unit before a generation: whether it can be taken out, and what a plan says."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lib_instantstyle.content.removal import describe_subtraction, removals_of
from lib_instantstyle.content.subtraction import (
    SEPARATOR,
    check_subtraction,
    takes_content_out,
)
from lib_instantstyle.content.text_encoders import content_source
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.live import queue_lock_if_free
from lib_instantstyle.methods.base import Findings
from lib_instantstyle.methods.ip_adapter.features import (
    CheckedUnit,
    combined,
    encoder_inputs,
    with_style,
)
from lib_instantstyle.models.selection import image_encoder_for
from lib_instantstyle.references.vectors import remembered


def check_content(checked: CheckedUnit, context: Context, findings: Findings) -> None:
    """Check that the content of the unit can be taken out, and note in a dry run what would be.

    The text encoder is used only if the checkpoint is in memory and no picture is being made.
    """
    unit, adapter = checked.unit, checked.choice.adapter
    if not takes_content_out(unit):
        return
    with findings.noting():
        check_subtraction(adapter, unit)
        if not findings.is_dry_run:
            return
        with queue_lock_if_free() as free:
            if context.unet is not None and free:
                _note_plan(checked, context, findings)
                return
        why = "is making a picture" if not free else "is not in memory yet"
        findings.remark(
            f"the checkpoint {why}: whether its text encoder can take content out was not "
            "compared yet."
        )


@torch.no_grad()
def _note_plan(checked: CheckedUnit, context: Context, findings: Findings) -> None:
    unit = checked.unit
    width = checked.choice.adapter.kind.projection.feature_width
    source = content_source(width, unit.clip_source, context)
    findings.plan.subtracted = describe_subtraction(unit, source)
    images = _known_vectors(checked, context)
    if images:
        references, _ = combined(images, checked)
        findings.plan.content = removals_of(references, unit, source, context)


def _known_vectors(checked: CheckedUnit, context: Context) -> list[torch.Tensor]:
    """The image vectors [E] of the references, as far as nothing has to be encoded; else none."""
    from lib_instantstyle.hosts.page import is_api_public

    inputs, _ = encoder_inputs(checked)
    if inputs and is_api_public():  # it would tell strangers what others have sent
        return []
    encoder, style = checked.choice.image_encoder, checked.style
    if inputs and style is not None:
        encoder = image_encoder_for(checked.choice.adapter, context.catalog)
    found = [remembered(each, encoder, False, context) for each in inputs]
    known = [vector for vector in found if vector is not None]
    if len(known) < len(found):
        return []
    if style is not None:
        return list(with_style(style, known, len(known), hidden=False)[:-1])
    return known


def words_in_line(suggested: Sequence[Sequence[str]]) -> str:
    """The words that each reference suggests, as infotext has them: "cup | table; cat | sofa"."""
    return "; ".join(f" {SEPARATOR} ".join(words) or "nothing" for words in suggested)
