"""Sentences about settings that do nothing, or not what one might expect, in a generation."""

from __future__ import annotations

from typing import Any

from lib_instantstyle.content.subtraction import takes_content_out
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.base import Findings
from lib_instantstyle.methods.ip_adapter.features import CheckedUnit
from lib_instantstyle.methods.ip_adapter.purify import in_steps, keeps_all, token_count
from lib_instantstyle.models.selection import describe_layers
from lib_instantstyle.references.views import has_negative_input
from lib_instantstyle.units.choices import ADAIN, NEGATIVE_IMAGE, REMOVED_CONTENT
from lib_instantstyle.units.unit import Unit


def remark(checked: CheckedUnit, context: Context, findings: Findings) -> None:
    """Note sentences for the user that stop nothing."""
    adapter, muted = checked.choice.adapter, checked.choice.muted
    if muted:
        findings.remark(
            f"adapter {adapter.name} holds nothing for "
            f"{describe_layers(muted, context.known_layers)}; this part stays without style."
        )
    unit, p = checked.unit, context.p
    if unit.mask and (script := context.tile_script):
        findings.remark(
            f"{script} makes the picture tile by tile, and the mask is repeated in each of them."
        )
    if unit.style_to and not unit.style:
        findings.remark("style_to does nothing, because there is no saved style to begin at.")
    if unit.purify:
        _remark_on_purify(checked, context, findings)
    if unit.fusion == ADAIN:
        _remark_on_fusion(checked, findings)
    if unit.negative_content:
        _check_negative_content(unit, p, findings)
    if unit.attention_guidance and unit.guidance_from == REMOVED_CONTENT:
        if not takes_content_out(unit):
            findings.problem(
                "guidance_from is removed content, but nothing is removed; name some content with "
                f"content_scale above 0, or set guidance_from to {NEGATIVE_IMAGE}."
            )
        matters = unit.negative_weight != 1 or has_negative_input(unit)
    elif unit.attention_guidance:
        matters = False
    else:
        negated = any(weight.negated for weight in checked.block_weights.values())
        matters = negated or unit.negative_weight != 1 or has_negative_input(unit)
    if matters and getattr(p, "cfg_scale", None) == 1:
        findings.remark(
            "at CFG scale 1 there is no negative prompt, so that precise presets, boost, "
            "negative_weight, negative_image and noise do nothing; attention_guidance with "
            f"guidance_from {NEGATIVE_IMAGE} makes them act."
        )


def _check_negative_content(unit: Unit, p: Any, findings: Findings) -> None:
    if not takes_content_out(unit):
        findings.problem(
            "negative_content is on, but nothing is removed; name some content with content_scale "
            "above 0, or switch negative_content off."
        )
    if has_negative_input(unit):
        other = "noise" if unit.negative_image is None else "negative_image"
        findings.problem(
            f"negative_content is on, and {other} is given, which takes the same place; leave one "
            "of them out."
        )
    guided = unit.attention_guidance and unit.guidance_from == NEGATIVE_IMAGE
    if getattr(p, "cfg_scale", None) == 1 and not guided:
        findings.remark(
            "at CFG scale 1 there is no negative prompt, so that negative_content does nothing; "
            f"attention_guidance with guidance_from {NEGATIVE_IMAGE} makes it act."
        )


def _remark_on_fusion(checked: CheckedUnit, findings: Findings) -> None:
    unit = checked.unit
    if unit.differs("embeds_scaling"):
        findings.remark("embeds_scaling does nothing with fusion adain, which has V only.")
    weights = {weight.weight for weight in checked.block_weights.values()}
    beyond = sorted(weight for weight in weights if not 0 <= weight <= 1)
    if beyond:
        findings.remark(
            f"fusion adain takes weights from 0 to 1, so that {beyond[-1]:g} acts as "
            f"{min(max(beyond[-1], 0), 1):g}."
        )


def _remark_on_purify(checked: CheckedUnit, context: Context, findings: Findings) -> None:
    unit, projection = checked.unit, checked.choice.adapter.kind.projection
    if sentence := keeps_all(unit, token_count(unit, projection, len(checked.pictures.weights))):
        findings.remark(sentence)
    elif findings.is_dry_run:
        plan, request = findings.plan, context.p
        passes = [(plan.steps, request.steps), (plan.hires_steps, request.hires_steps)]
        plan.purified = in_steps(unit, passes)
