"""Measures what reaches each cross-attention of a UNet, without knowing who adds it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lib_instantstyle.layout import SD15, SDXL, parse_attn2

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

DIFFUSERS = {block.ldm: block.diffusers for layout in (SD15, SDXL) for block in layout.blocks}


@contextmanager
def added_terms(unet: torch.nn.Module) -> Iterator[dict[str, float]]:
    """Within the block, fills {block name: norm of what was added / norm of the text attention}.

    The input of `to_out[0]` is looked at twice: before any hook of an extension (a pre-hook put
    first) and as the module got it. What lies between is what extensions added.
    """
    text: dict[str, torch.Tensor] = {}
    shares: dict[str, float] = {}
    handles = []

    def watch(name: str, linear: torch.nn.Module) -> None:
        def before(module, args):
            text[name] = args[0].detach().clone()

        def after(module, args, output):
            added = (args[0] - text[name]).norm() / text[name].norm()
            shares[name] = max(shares.get(name, 0.0), float(added))

        handles.append(linear.register_forward_hook(after))
        # Extensions register their hooks later, around the sampling; ours still runs first.
        handles.append(linear.register_forward_pre_hook(before, prepend=True))

    for path, module in unet.named_modules():
        parsed = parse_attn2(path)
        if parsed:
            watch(f"{DIFFUSERS[parsed[0]]}.{parsed[1]}", module.to_out[0])
    try:
        yield shares
    finally:
        for handle in handles:
            handle.remove()


def touched_blocks(shares: dict[str, float]) -> dict[str, float]:
    """The blocks that anything was added to, with the largest share of their layers."""
    blocks: dict[str, float] = {}
    for name, share in shares.items():
        block = name.rsplit(".", 1)[0]
        if share > 0:
            blocks[block] = max(blocks.get(block, 0.0), share)
    return blocks
