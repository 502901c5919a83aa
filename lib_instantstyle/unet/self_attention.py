"""The self-attention of a live UNet: what flows through it is captured, or replaced.

Forward hooks on `attn1.to_q`, `to_k` and `to_v` see queries, keys and values [B, N, h] and may
return others. What is done with them stays the business of the WebUI's own attention.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.injection import begin_hooks, remove_hooks_of
from lib_instantstyle.unet.layers import SelfAttention
from lib_instantstyle.unet.reach import Reach, never_reached

TO_Q, TO_K, TO_V = PARTS = ("to_q", "to_k", "to_v")
ATTENDED = "to_out"  # what attention makes of the three, before its last projection
_MARK = "_instantstyle_self_attention"

AttentionFeatures = Mapping[tuple[int, str], torch.Tensor]
"""Queries, keys and values [B, N, h], by the number of the layer and the part."""

AttentionCallback = Callable[[int, str, torch.Tensor], "torch.Tensor | None"]
"""Called with the number of the layer, the part and its tensor; may return another tensor."""


LatentCallback = Callable[[torch.Tensor], None]
"""Shown the latents [rows, 4, h, w] of a UNet call before it begins."""


class SelfAttentionHooks:
    """Hooks on some self-attentions. Idle until told to capture or to replace."""

    def __init__(self, layers: Collection[SelfAttention]) -> None:
        self._layers = tuple(layers)
        self._act: AttentionCallback | None = None
        self._on_latents: LatentCallback | None = None
        self._unet: nn.Module | None = None
        self.replaced = 0  # how often something was replaced
        self._reaches = [Reach(layer.block.diffusers) for layer in self._layers]
        self._calls = 0  # of the UNet while something acts
        self._acted = False

    def __len__(self) -> int:
        return len(self._layers)

    def attach(self, unet: nn.Module) -> None:
        """Put the hooks on; hooks that an earlier run left on `unet` are removed first."""
        self.detach()
        handles = begin_hooks(unet, _MARK)
        self._unet = unet
        handles.append(unet.register_forward_pre_hook(self._before_unet, with_kwargs=True))
        for number, layer in enumerate(self._layers):
            for part in PARTS:
                projection = getattr(layer.module, part, None)
                if not isinstance(projection, nn.Module):
                    self.detach()
                    raise InstantStyleError(
                        f"the self-attention of {layer.block.diffusers} has no {part} of its own "
                        "(Nunchaku's UNets compute queries, keys and values at once), so that this "
                        "method cannot act; use an IP-Adapter, or another checkpoint."
                    )
                handles.append(projection.register_forward_hook(self._hook(number, part)))
            # to_out as a whole would not do: some optimisations call its first part past it.
            container: Any = layer.module.to_out
            last = container[0].register_forward_pre_hook(self._last_hook(number))
            handles.append(last)

    def detach(self) -> None:
        """Take the hooks off; the UNet is then as it was."""
        if self._unet is not None:
            remove_hooks_of(self._unet, _MARK)
            self._unet = None

    @contextmanager
    def acting(
        self, act: AttentionCallback, on_latents: LatentCallback | None = None
    ) -> Iterator[None]:
        """Call `act` for every tensor of the layers, and `on_latents` before each UNet call."""
        previous = self._act, self._on_latents
        self._act, self._on_latents = act, on_latents
        self._acted = True
        try:
            yield
        finally:
            self._act, self._on_latents = previous

    @contextmanager
    def capturing(
        self, parts: Collection[str] | Callable[[int], Collection[str]] = PARTS
    ) -> Iterator[AttentionFeatures]:
        """Keep what flows through the layers in this block.

        parts: of every layer, or of the one with that number.
        """
        features: dict[tuple[int, str], torch.Tensor] = {}
        wanted = [parts(number) if callable(parts) else parts for number in range(len(self))]

        def keep(number: int, part: str, x: torch.Tensor) -> None:
            if part in wanted[number]:
                features[number, part] = x

        with self.acting(keep):
            yield features
        if len(features) != sum(map(len, wanted)):
            raise InstantStyleError(
                "the UNet's self-attention was not reached; a replaced UNet (such as TensorRT) "
                "or attention cannot be styled, switch it off."
            )

    @property
    def unreached(self) -> list[str]:
        """The blocks of layers that no UNet call has reached in which something acted."""
        if self._acted and not self._calls:
            return list(dict.fromkeys(each.layer for each in self._reaches))
        return never_reached(self._reaches)

    def _before_unet(self, unet: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._act is not None:
            self._calls += 1
            for reach in self._reaches:
                reach.due += 1
        if self._on_latents is not None:
            self._on_latents(args[0] if args else kwargs["x" if "x" in kwargs else "sample"])

    def _last_hook(self, number: int) -> Callable[..., Any]:
        def hook(module: nn.Module, args: tuple[torch.Tensor, ...]) -> Any:
            changed = self._changed(number, ATTENDED, args[0])
            return None if changed is None else (changed, *args[1:])

        return hook

    def _changed(self, number: int, part: str, x: torch.Tensor) -> torch.Tensor | None:
        if self._act is None:
            return None
        self._reaches[number].note(self._calls)
        changed = self._act(number, part, x)
        self.replaced += changed is not None
        return changed

    def _hook(self, number: int, part: str) -> Callable[..., torch.Tensor | None]:
        def hook(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor | None:
            return self._changed(number, part, output)

        return hook


@contextmanager
def self_attention_hooks(
    unet: nn.Module, layers: Collection[SelfAttention]
) -> Iterator[SelfAttentionHooks]:
    """Hold hooks on `unet` for the length of a `with` block, however it ends."""
    hooks = SelfAttentionHooks(layers)
    try:
        hooks.attach(unet)
        yield hooks
    finally:
        hooks.detach()
