"""What a unit has to do before the first step, because it is not remembered."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lib_instantstyle.clip import image_encoder
from lib_instantstyle.content.subtraction import takes_content_out
from lib_instantstyle.files.model_file import read_errors
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.methods.base import Cost
from lib_instantstyle.methods.ip_adapter import projections
from lib_instantstyle.methods.ip_adapter.banks import unread
from lib_instantstyle.methods.ip_adapter.features import (
    CheckedUnit,
    encoder_inputs,
    features_of,
    inputs_to_encode,
    with_style,
)
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.models.published import size_in_words
from lib_instantstyle.models.selection import image_encoder_for
from lib_instantstyle.references.vectors import is_kept, remembered
from lib_instantstyle.references.views import EncoderInput

_NOTHING = "everything is remembered: nothing is read from model files, encoded or projected."


@torch.no_grad()
def unit_cost(checked: CheckedUnit, context: Context) -> Cost:
    """The cost of `checked`; for strangers as if nothing were remembered.

    What they are told would otherwise depend on what others have sent. Raises InstantStyleError if
    a file cannot be read.
    """
    from lib_instantstyle.hosts.page import is_api_public

    adapter, is_public = checked.choice.adapter, is_api_public()
    hidden = adapter.kind.projection.takes_hidden_states
    inputs, encoder = _encoded(checked, context)
    known = {} if is_public else _known(inputs, encoder, hidden, context)
    missing = {each.key for each in inputs} - known.keys()
    of_encoder = 0
    if missing and (is_public or not is_kept(encoder, hidden, context)):
        with read_errors(encoder.path):
            of_encoder = image_encoder.bytes_to_read(encoder.path, encoder.kind, hidden)
    projection, numbers = True, tuple(sorted(checked.block_weights))
    is_certain = not takes_content_out(checked.unit)
    if is_certain and not is_public and not missing:
        embeds = features_of(_stacked(checked, inputs, known), checked, context).stack
        projection, numbers = unread(adapter, numbers, embeds, context.host.device())
    of_adapter = 0
    if projection or numbers:
        with read_errors(adapter.path):
            first, layers = projections.bytes_to_read(adapter.path, adapter.kind, numbers)
        of_adapter = layers + (first if projection else 0)
    sentences = []
    if missing:
        sentences.append(_of_encoder(encoder, of_encoder, len(missing)))
    if of_adapter:
        upto = "" if is_certain else "up to "
        what = f"{'tokens, ' if projection else ''}keys and values of {len(numbers)} layers"
        sentences.append(
            f"{upto}{size_in_words(of_adapter)} of adapter {adapter.name} would be read, and "
            f"{what} projected"
        )
    text = f"{'; '.join(sentences)}." if sentences else _NOTHING
    return Cost(text, of_encoder + of_adapter, len(missing), len(numbers))


def _encoded(
    checked: CheckedUnit, context: Context
) -> tuple[Sequence[EncoderInput], ImageEncoderFile]:
    """What the image encoder is asked for, that of negative rows last; and which encoder it is."""
    if checked.style is None:
        return inputs_to_encode(checked), checked.choice.image_encoder
    inputs, negative = encoder_inputs(checked)
    wanted = [*inputs, *([negative] if negative else [])]
    if not wanted:
        return [], checked.choice.image_encoder
    return wanted, image_encoder_for(checked.choice.adapter, context.catalog)


def _known(
    inputs: Sequence[EncoderInput], encoder: ImageEncoderFile, hidden: bool, context: Context
) -> dict[str, torch.Tensor]:
    found = {each.key: remembered(each, encoder, hidden, context) for each in inputs}
    return {key: embeds for key, embeds in found.items() if embeds is not None}


def _stacked(
    checked: CheckedUnit, inputs: Sequence[EncoderInput], known: dict[str, torch.Tensor]
) -> torch.Tensor:
    """The image embeds of references and, last, of negative rows, all of them known."""
    hidden = checked.choice.adapter.kind.projection.takes_hidden_states
    found = [known[each.key] for each in inputs]
    if checked.style is not None:
        return with_style(checked.style, found, len(encoder_inputs(checked)[0]), hidden)
    if not hidden and encoder_inputs(checked)[1] is None:
        found.append(torch.zeros_like(found[0]))
    return torch.stack(found)


def _of_encoder(encoder: ImageEncoderFile, size: int, count: int) -> str:
    pictures = "one picture" if count == 1 else f"{count} pictures"
    if not size:
        return f"{pictures} would be encoded with the image encoder {encoder.name}, which was kept"
    return (
        f"the image encoder {encoder.name} ({size_in_words(size)}) would be read and {pictures} "
        "encoded"
    )
