"""How the image attention of all terms and the text's attention become one, in one layer.

Shapes: B rows of the UNet call, N latent tokens, h width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.call_state import CallState, Rows
from lib_instantstyle.unet.fusion import cross_modal, guided
from lib_instantstyle.unet.image_attention import Attended
from lib_instantstyle.unet.masks import token_grid
from lib_instantstyle.unet.plan import AttentionTerm


class AttentionSum:
    """Adds terms to the text's attention, or fuses them with it."""

    def __init__(self, number: int, call: CallState) -> None:
        """number: of the layer, N in adapter files."""
        self._number = number
        self._call = call

    def of(self, hidden: torch.Tensor, images: Iterable[Attended], rows: Rows) -> torch.Tensor:
        """The text's attention `hidden` [B, N, h] with all terms."""
        text, last = hidden, []
        for each in images:
            if each.term.fused:
                last.append(each)  # they share the text among each other
            else:
                added = self._added(text, hidden, each, rows)
                self._note(each.term, hidden, added, rows)
                hidden = added
        for each, styled in self._fused(text, last, rows) if last else ():
            added = styled if hidden is text else hidden + (styled - text)
            self._note(each.term, hidden, added, rows)
            hidden = added
        return hidden

    def _note(
        self, term: AttentionTerm, before: torch.Tensor, after: torch.Tensor, rows: Rows
    ) -> None:
        if self._call.meter is not None:
            self._call.meter.note(self._number, term.unit, before, after, rows)

    def _added(
        self, text: torch.Tensor, hidden: torch.Tensor, each: Attended, rows: Rows
    ) -> torch.Tensor:
        """`hidden` with the term added; guidance compares with the text's attention alone."""
        # Never in place: the WebUI may keep the tensor it handed over.
        term = each.term
        amount = term.weight * self._call.strengths[term.when]
        share = self._mask(hidden, term)
        factor = self._factor(text if each.away is not None else hidden, each, rows)
        if factor is not None:
            factor = factor.to(hidden.dtype)
            share = factor if share is None else share * factor

        def add(before: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
            if share is None:
                return torch.add(before, image, alpha=amount)
            return torch.addcmul(before, image, share, value=amount)

        if each.away is None:
            return add(hidden, each.image)
        prompts = [*each.prompts]
        styled = add(text, each.image)
        away = add(text if len(prompts) == len(text) else text[prompts], each.away)
        styled = _guided(styled, away, each)
        return styled if hidden is text else hidden + (styled - text)

    def _factor(self, text: torch.Tensor, each: Attended, rows: Rows) -> torch.Tensor | None:
        term = each.term
        auto = self._call.auto.get(term.unit)
        if auto is None:
            return None
        return auto.factor(text, each.image, term.weight, rows, self._call.serial)

    def _fused(
        self, text: torch.Tensor, fused: Sequence[Attended], rows: Rows
    ) -> Iterator[tuple[Attended, torch.Tensor]]:
        """What each term makes of the text alone, so that their order does not matter.

        Where their shares come to more than 1 they are divided by their sum.
        """
        factors = [self._factor(text, each, rows) for each in fused]
        shares = [
            self._share(text, each.term, [each.term.row(code) for code in rows], factor)
            for each, factor in zip(fused, factors)
        ]
        total = text.new_ones(1, 1, 1)
        if len(shares) > 1:
            total = sum(shares, torch.zeros_like(total)).clamp_min(1)
        for each, factor, share in zip(fused, factors, shares):
            term, mask = each.term, self._mask(text, each.term)
            styled = torch.lerp(text, cross_modal(text, each.image, mask), share / total)
            if each.away is not None:
                prompts = [*each.prompts]
                own = text[prompts]
                avoided = [term.row_to_avoid(rows[place]) for place in prompts]
                share = self._share(text, term, avoided, factor)
                share = share / (total if len(total) == 1 else total[prompts])
                away = torch.lerp(own, cross_modal(own, each.away, mask), share)
                styled = _guided(styled, away, each)
            yield each, styled

    def _share(
        self,
        text: torch.Tensor,
        term: AttentionTerm,
        served: Sequence[int],
        factor: torch.Tensor | None,
    ) -> torch.Tensor:
        """The share with which text and image are fused, 0 to 1: [rows or 1, N or 1, 1].

        served: by row of the UNet call, the row of the term's bank. factor: of auto_weight.
        """
        most = term.weight * self._call.strengths[term.when]
        by_row = [term.fused[row] * most for row in served]
        if len(set(by_row)) == 1:
            by_row = by_row[:1]
        share = torch.tensor(by_row, device=text.device, dtype=text.dtype)[:, None, None]
        if factor is not None:
            share = share * factor.to(text.dtype)
        share = share.clamp(0, 1)
        mask = self._mask(text, term)
        return share if mask is None else share * mask

    def _mask(self, hidden: torch.Tensor, term: AttentionTerm) -> torch.Tensor | None:
        if term.mask is None:
            return None
        grid = token_grid(*self._call.latent, hidden.shape[1])
        if grid is None:
            raise InstantStyleError(
                f"mask cannot be used: another extension changed the number of tokens in "
                f"{term.layer.diffusers} to {hidden.shape[1]}; switch it off, or use no mask."
            )
        return term.mask.on_grid(*grid, hidden.device, hidden.dtype)


def _guided(styled: torch.Tensor, away: torch.Tensor, each: Attended) -> torch.Tensor:
    """`styled` [B, N, h] with its prompt rows guided away from `away`."""
    prompts = [*each.prompts]
    if len(prompts) == len(styled):
        return guided(styled, away, each.term.guidance)
    changed = styled.clone()
    changed[prompts] = guided(styled[prompts], away, each.term.guidance)
    return changed
