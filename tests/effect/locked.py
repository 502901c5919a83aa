"""The layout lock, for the painter: the plain picture is evaluated beside the styled one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from lib_instantstyle.methods.plain_picture import KeptLayout, PlainPicture, is_locked
from lib_instantstyle.unet.injection import Injection
from lib_instantstyle.unet.layers import UnetLayers
from lib_instantstyle.unet.self_attention import self_attention_hooks
from tests.effect.self_attention import Guided


@contextmanager
def with_lock(
    denoiser: Guided, injection: Injection, unet: nn.Module, layers: UnetLayers, lock: tuple
) -> Iterator[Guided]:
    """`denoiser` with the layout of the plain picture in the first steps.

    injection: attached to `unet`; it is taken off while the plain picture is evaluated. lock: the
    unit's layout_lock, and the steps of the sampling.
    """
    share, steps = lock
    plain, step = PlainPicture(), itertools.count()
    everywhere = [block.index for block in layers.layout.blocks]
    with self_attention_hooks(unet, layers.self_attentions_in(everywhere)) as hooks:

        def predict(x: Tensor, sigma: Tensor) -> Tensor:
            if not is_locked(next(step) / steps, share):
                return denoiser(x, sigma)
            kept = KeptLayout()
            injection.detach()
            with hooks.acting(kept.keep):
                plain.see_plain(denoiser(plain.state_at(x), sigma))
            injection.attach(unet, layers)
            with hooks.acting(kept.give):
                return plain.see_styled(denoiser(x, sigma))

        yield Guided(predict)
