"""The attention and linear layers of a UNet, live or in a checkpoint's file, found by name."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.tensor_info import Tensors, shape_of
from lib_instantstyle.layout import Block, Layer, Layout, parse_attn2, recognise

Place = tuple[str, str]  # diffusers name of a block, path of a layer in it
_QUERY, _KEY = ".to_q.weight", ".to_k.weight"
_ATTENTIONS = ("attn1", "attn2")


@dataclass(frozen=True)
class CrossAttention:
    """One cross-attention (attn2) of a UNet."""

    layer: Layer
    module: nn.Module  # has to_q, to_k, to_out[0], heads
    width: int  # h
    heads: int


@dataclass(frozen=True)
class SelfAttention:
    """One self-attention (attn1) of a UNet."""

    block: Block
    module: nn.Module

    @property
    def heads(self) -> int:
        """H, the number of attention heads."""
        module: Any = self.module
        return int(module.heads)


@dataclass(frozen=True)
class UnetLayers:
    """The layout of a UNet, and its attention layers."""

    layout: Layout
    context_width: int  # C, the width of the prompt's tokens
    by_number: Mapping[int, CrossAttention]
    self_attentions: tuple[SelfAttention, ...] = ()  # in the order of the UNet's modules

    def self_attentions_in(self, blocks: Collection[int]) -> tuple[SelfAttention, ...]:
        """The self-attentions in the blocks with these transformer indices."""
        return tuple(each for each in self.self_attentions if each.block.index in blocks)

    def count_by_block(self) -> Mapping[int, int]:
        """How many cross-attentions each transformer has, by its index."""
        return Counter(found.layer.block.index for found in self.by_number.values())

    @property
    def signature(self) -> tuple[object, ...]:
        """Equal for two UNets for which keys and values of one adapter have the same shapes."""
        widths = tuple(sorted((n, c.width) for n, c in self.by_number.items()))
        return (self.layout.id, self.context_width, widths)


def find_layers(unet: nn.Module) -> UnetLayers:
    """The attention layers of `unet`, whose modules have ldm/sgm or diffusers names.

    Raises InstantStyleError if the layout is neither that of SD1.5 nor that of SDXL.
    """
    modules: dict[tuple[str, int], Any] = {}
    depths: dict[str, int] = {}
    own: list[tuple[str, nn.Module]] = []  # name of the block, self-attention in it
    for path, module in unet.named_modules():
        if not path.endswith(_ATTENTIONS):
            continue
        parsed = parse_attn2(f"{path[:-1]}2")
        if parsed and path.endswith("1"):
            own.append((parsed[0], module))
        elif parsed and hasattr(module, "to_q") and hasattr(module, "to_out"):
            modules[parsed] = module
            depths[parsed[0]] = max(depths.get(parsed[0], 0), parsed[1] + 1)
    layout = _layout(depths)
    by_number: dict[int, CrossAttention] = {}
    for layer in layout.layers:
        for name in (layer.block.ldm, layer.block.diffusers):
            module = modules.get((name, layer.depth_index))
            if module is not None:
                width, _ = _sizes(module.to_q)
                by_number[layer.number] = CrossAttention(layer, module, width, module.heads)
    _, context_width = _sizes(next(iter(modules.values())).to_k)
    named = {name: block for block in layout.blocks for name in (block.ldm, block.diffusers)}
    found = tuple(SelfAttention(named[name], module) for name, module in own if name in named)
    return UnetLayers(layout, context_width, by_number, found)


def _sizes(layer: nn.Module) -> tuple[int, int]:
    shape = linear_shape(layer)
    if shape is None:
        raise InstantStyleError(
            f"the loaded checkpoint's attention is made of {type(layer).__name__}, which does not "
            "say its size; InstantStyle needs the WebUI's own UNet (no TensorRT, no compiled one)."
        )
    return shape


def layers_in_file(tensors: Tensors) -> UnetLayers:
    """The cross-attentions of the UNet in a checkpoint's file, by the names of its tensors.

    Their modules are empty and their heads 0, which a file does not have: enough to choose an
    adapter, not to put hooks on. Raises as `find_layers` does.
    """
    widths: dict[tuple[str, int], int] = {}
    depths: dict[str, int] = {}
    context_width = 0
    for name in tensors:
        parsed = parse_attn2(name.removesuffix(_QUERY)) if name.endswith(_QUERY) else None
        query = shape_of(tensors, name, 2)
        key = shape_of(tensors, f"{name.removesuffix(_QUERY)}{_KEY}", 2)
        if parsed and query and key:
            widths[parsed], context_width = query[0], key[1]
            depths[parsed[0]] = max(depths.get(parsed[0], 0), parsed[1] + 1)
    layout = _layout(depths)
    by_number = {
        layer.number: CrossAttention(layer, nn.Module(), widths[name, layer.depth_index], 0)
        for layer in layout.layers
        for name in (layer.block.ldm, layer.block.diffusers)
        if (name, layer.depth_index) in widths
    }
    return UnetLayers(layout, context_width, by_number)


def _layout(depths: Mapping[str, int]) -> Layout:
    layout = recognise(depths) if depths else None
    if layout is None:
        raise InstantStyleError(
            "the loaded checkpoint has no cross-attention blocks in the layout of SD1.5 or SDXL; "
            "InstantStyle works with checkpoints of these two families."
        )
    return layout


def linear_shape(layer: Any) -> tuple[int, int] | None:
    """(out features, in features) of `layer`, of whatever class; None if it is not linear.

    Forge's layers in 4 bits and of GGUF files have no `in_features`, so the shape of the weight is
    read; bitsandbytes, which packs the numbers, keeps that shape in `quant_state`.
    """
    if hasattr(layer, "in_features") and hasattr(layer, "out_features"):
        return int(layer.out_features), int(layer.in_features)
    weight = getattr(layer, "weight", None)
    shape = tuple(getattr(getattr(weight, "quant_state", None) or weight, "shape", ()))
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else None


def linear_layers(unet: nn.Module, blocks: Iterable[Block]) -> dict[Place, Any]:
    """The linear layers of `blocks` in a live UNet (ldm/sgm or diffusers module names)."""
    names = {name: block.diffusers for block in blocks for name in (block.ldm, block.diffusers)}
    pattern = re.compile(rf"(?:^|\.)({'|'.join(map(re.escape, names))})\.(.+)$")
    return {
        (names[match[1]], match[2]): module
        for path, module in unet.named_modules()
        if (match := pattern.search(path)) and linear_shape(module)
    }
