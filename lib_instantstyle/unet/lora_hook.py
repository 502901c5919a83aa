"""LoRAs on the live linear layers of a UNet; weights, and the WebUI's own LoRAs, stay as they are.

Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensors import check_range
from lib_instantstyle.unet.call_state import CallState
from lib_instantstyle.unet.layers import Place, linear_layers
from lib_instantstyle.unet.plan import LoraTerm
from lib_instantstyle.unet.reach import Reach


class LoraHook:
    """A forward hook on one linear layer."""

    def __init__(self, terms: Sequence[LoraTerm], call: CallState) -> None:
        self.fired = 0
        (place,) = {f"{term.block.diffusers}.{term.path}" for term in terms}
        self.reach = Reach(place, frozenset(term.when for term in terms))
        self._terms = tuple(terms)
        self._call = call
        self._ready: dict[tuple[Any, ...], tuple[torch.Tensor, torch.Tensor]] = {}

    def __call__(self, module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
        """x [..., in], output [..., out] -> output with what the acting terms add, or None."""
        if self._call.rows is None:
            return None
        acting = [term for term in self._terms if term.when in self._call.strengths]
        if not acting:
            return None
        x = args[0].to(output.dtype)
        if self._call.spares_first:
            output = self._in_styled_rows(x, output, acting)
        else:
            output = self._added(x, output, acting)
        self.fired += 1
        self.reach.note(self._call.serial)
        self._call.acted.update(term.unit for term in acting)
        return output

    def _in_styled_rows(
        self, x: torch.Tensor, output: torch.Tensor, acting: Sequence[LoraTerm]
    ) -> torch.Tensor:
        rows = self._call.rows or ()
        if len(rows) != len(output):
            raise InstantStyleError(
                "layout_from 'first picture' cannot be used: another extension changes the rows of "
                "a UNet call; switch it off, or choose layout_from 'prompt'."
            )
        places = self._call.styled_rows(rows, output.device)
        if not len(places):
            return output
        return output.index_copy(0, places, self._added(x[places], output[places], acting))

    def _added(
        self, x: torch.Tensor, output: torch.Tensor, acting: Sequence[LoraTerm]
    ) -> torch.Tensor:
        for term in acting:
            down, up = self._factors(term, output)
            amount = term.amount * self._call.strengths[term.when]
            output = torch.add(output, F.linear(F.linear(x, down), up), alpha=amount)
        return output

    def _factors(self, term: LoraTerm, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        key = (id(term), like.dtype, like.device)
        if key not in self._ready:
            check_range(term.largest, term.source, like.dtype)
            self._ready[key] = (term.down.to(like), term.up.to(like))
        return self._ready[key]


def lora_hooks(
    unet: nn.Module, terms: Sequence[LoraTerm], call: CallState
) -> Iterator[tuple[nn.Module, LoraHook]]:
    """A hook for each layer of `unet` that has terms, with the layer to put it on."""
    by_place: dict[Place, list[LoraTerm]] = {}
    for term in terms:
        by_place.setdefault((term.block.diffusers, term.path), []).append(term)
    present = linear_layers(unet, {term.block for term in terms}) if terms else {}
    for place, of_layer in by_place.items():
        if place in present:  # a pruned UNet may lack some
            yield present[place], LoraHook(of_layer, call)
