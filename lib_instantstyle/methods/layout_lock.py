"""The layout that the prompt gives without a style, kept in the first part of the sampling.

The teacher of StyleStudio (CVPR 2025, arXiv 2412.08503, `ip_adapter/attention_processor.py`): a
plain picture is made beside the styled one, from the same noise, and in the self-attention of all
layers the styled one takes the queries and keys of the plain one. Values stay its own. There whole
attention maps are replaced, which comes to the same: no probabilities are formed here.

The plain picture is the first one of each batch, or, for every picture, one that is not shown. That
one costs a further evaluation of the model in each step that is locked. Its latents are followed
without a sampler of their own: see `PlainPicture`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.context import Context
from lib_instantstyle.hosts.model_calls import Change, ModelCall, around_model_calls
from lib_instantstyle.methods.base import Findings, Part, Pass, naming
from lib_instantstyle.methods.plain_picture import (
    LOCKED,
    KeptLayout,
    PlainPicture,
    is_locked,
    locked_steps,
)
from lib_instantstyle.methods.self_attention import sentence_if_unreached
from lib_instantstyle.unet.plan import Plan, when_of
from lib_instantstyle.unet.rows import rows_of_first_image
from lib_instantstyle.unet.self_attention import SelfAttentionHooks, self_attention_hooks
from lib_instantstyle.units.choices import BASE, FIRST_PICTURE, HIRES
from lib_instantstyle.units.field import SELF_ATTENTION
from lib_instantstyle.units.unit import Unit


def check_layout(unit: Unit, context: Context, findings: Findings) -> None:
    """Note in `findings` why the layout cannot be locked for `unit`, and in which steps it is."""
    request, declared = context.p, unit.declared  # in a generation it is the WebUI's own `p`
    if declared.excludes == SELF_ATTENTION:
        findings.problem(
            f"layout_lock is {unit.layout_lock:g}, which works on self-attention, and so does "
            f"method '{unit.method}'; set layout_lock to 0, or choose another method."
        )
    if request.get_token_merging_ratio():
        findings.problem("layout_lock cannot be used with token merging; set its ratio to 0.")
    first = unit.layout_from == FIRST_PICTURE
    if first and unit.tag:
        findings.problem(
            f"layout_from is '{FIRST_PICTURE}', which a tag cannot bring, because the noise of the "
            "batch is made before; write layout_from=prompt in the tag, or use a unit."
        )
    if first and getattr(request, "is_known", True) and request.batch_size < 2:
        findings.problem(
            f"layout_from is '{FIRST_PICTURE}', and the batch has {request.batch_size} picture; a "
            "batch of two or more is allowed, or layout_from 'prompt'."
        )
    if findings.is_dry_run:
        findings.plan.layout = _in_words(unit, request.steps, request.hires_steps)
    if first:
        findings.remark(
            "the first picture of each batch has no style and gives its layout, and its seed, to "
            "the others."
        )


def _in_words(unit: Unit, steps: int, hires_steps: int) -> str:
    """In which steps the layout is locked, and what that costs."""
    texts = []
    for name, count, other in (("", steps, HIRES), ("hires fix ", hires_steps, BASE)):
        locked = locked_steps(unit.layout_lock, count) if unit.hires_pass != other else 0
        if locked:
            texts.append(f"{name}1 to {locked} of {count}")
    if texts and unit.layout_from != FIRST_PICTURE:
        texts[-1] += ", with one more evaluation of the model in each"
    return "; ".join(texts)


def layout_part(units: Sequence[Unit], context: Context) -> LayoutPart:
    """The part of the `units` that lock the layout. Raises InstantStyleError, naming the unit."""
    for unit in units:
        with naming(unit, context):
            findings = Findings(unit)
            check_layout(unit, context, findings)
            for remark in findings.plan.remarks:
                context.notify(remark)
    return LayoutPart(units)


class LayoutPart(Part):
    """The lock of the layout in one generation, for all pictures alike."""

    title = "layout lock"

    def __init__(self, units: Sequence[Unit]) -> None:
        first = any(unit.layout_from == FIRST_PICTURE for unit in units)
        super().__init__(units, Plan((), spares_first=first))
        self.tells_images_apart = first
        self._from_first = first

    @property
    def is_empty(self) -> bool:
        return False

    def before_init(self, p: Any) -> None:
        """All pictures of a batch begin with the noise of the first one, whose layout they get."""
        if self._from_first:
            p.all_seeds = _of_the_first(p.all_seeds, p.batch_size)
            p.all_subseeds = _of_the_first(p.all_subseeds, p.batch_size)

    @contextmanager
    def around_sampling(self, p: Any, current: Pass) -> Iterator[None]:
        left_out = BASE if current.is_hires else HIRES
        acting = [unit for unit in self.units if unit.hires_pass != left_out]
        if not acting:
            yield
            return
        layers = current.context.known_layers
        everywhere = [block.index for block in layers.layout.blocks]
        attentions = layers.self_attentions_in(everywhere)
        sigmas = current.context.host.diffusion(p).sigmas()
        with self_attention_hooks(current.unet, attentions) as hooks:
            lock = _Lock(acting, hooks, current, _refiner_at(p), sigmas)
            enter = lock.share if self._from_first else lock.teach
            with torch.no_grad(), around_model_calls(p, current.fraction, sigmas, enter):
                yield
            self.problem = self.problem or sentence_if_unreached(hooks.unreached)
            self.replaced += hooks.replaced


def _of_the_first(seeds: Sequence[int], batch_size: int) -> list[int]:
    """For each picture the seed of the first one in its batch."""
    return [seeds[i // batch_size * batch_size] for i in range(len(seeds))]


def _refiner_at(p: Any) -> float:
    """The share of the pass before a refiner, which has other layers; 1 without one."""
    if getattr(p, "refiner_checkpoint_info", None) is None:
        return 1.0
    return float(getattr(p, "refiner_switch_at", None) or 0.0)


class _Lock:
    """The lock of one pass. refiner_at: see `_refiner_at`; sigmas: by timestep."""

    def __init__(
        self,
        units: Sequence[Unit],
        hooks: SelfAttentionHooks,
        current: Pass,
        refiner_at: float,
        sigmas: Sequence[float],
    ) -> None:
        self._whens = [when_of(unit) for unit in units]
        self._share = max(unit.layout_lock for unit in units)
        self._hooks, self._current = hooks, current
        self._refiner_at, self._sigmas = refiner_at, sigmas
        self._plain = PlainPicture()

    def _is_refined(self, call: ModelCall) -> bool:
        """Whether the refiner may have taken over: a setting of the WebUI says whether steps are
        counted or timesteps, and what is earlier is sure."""
        if self._refiner_at >= 1:
            return False
        timestep = min(range(len(self._sigmas)), key=lambda t: abs(self._sigmas[t] - call.sigma))
        by_noise = 1 - (timestep + 1) / len(self._sigmas)
        return not is_locked(max(call.fraction, by_noise), self._refiner_at)

    def _is_due(self, call: ModelCall) -> bool:
        if not is_locked(call.fraction, self._share) or self._is_refined(call):
            return False
        steps = self._current.steps
        return self._plain.has_begun or any(
            when.strength(call.fraction, steps) for when in self._whens
        )

    def teach(self, call: ModelCall, exits: ExitStack) -> Change | None:
        """Evaluate the plain picture, and have the styled one take its queries and keys."""
        if not self._is_due(call):
            return None
        kept = KeptLayout()
        plain = self._current.outside_sampling(lambda x, sigma: call.predicted_at(x))
        with self._hooks.acting(kept.keep):
            self._plain.see_plain(plain(self._plain.state_at(call.state), call.sigma))
        exits.enter_context(self._hooks.acting(kept.give))
        return self._plain.see_styled

    def share(self, call: ModelCall, exits: ExitStack) -> Change | None:
        """Have all pictures take the queries and keys of the batch's first one."""
        if self._is_due(call):
            exits.enter_context(self._hooks.acting(self._of_first))
        return None

    def _of_first(self, number: int, part: str, x: Tensor) -> Tensor | None:
        if part not in LOCKED:
            return None
        rows = rows_of_first_image(self._current.rows or ())
        if not rows or len(rows) != len(x):
            raise InstantStyleError(
                f"layout_from '{FIRST_PICTURE}' cannot be used: a call of the UNet lacks the first "
                "picture of the batch, because of AND in a prompt or of another extension; choose "
                "layout_from 'prompt', or switch that off."
            )
        return x[rows]
