"""The peers in the same run: diffusers' own IP-Adapter, and projection in every step.

ComfyUI's IPAdapter plus projects the tokens to keys and values in every layer of every step, and
adds weight * attention to the text's; `project_each_call` is that formula, as published, on the
same hooks as ours.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager

import torch
from diffusers.models.attention_processor import AttnProcessor2_0, IPAdapterAttnProcessor2_0
from torch.nn import functional as F

from lib_instantstyle.unet.layers import UnetLayers
from tests.bench.networks import Weights


class Diffusers:
    """diffusers' IP-Adapter processors with our random adapter, made once and put on for a call.

    Every cross-attention has one, as after load_ip_adapter; those not `chosen` have the scale 0.
    """

    def __init__(self, layers: UnetLayers, weights: Weights, chosen: Container[int]) -> None:
        self._processors = []
        for number, (key, value) in weights.matrices.items():
            processor = IPAdapterAttnProcessor2_0(*key.shape, (4,), float(number in chosen))
            processor.to_k_ip[0].weight.data = key
            processor.to_v_ip[0].weight.data = value
            module = layers.by_number[number].module
            self._processors.append((module, processor.requires_grad_(False)))

    @contextmanager
    def on(self) -> Iterator[None]:
        for attention, processor in self._processors:
            attention.set_processor(processor)
        try:
            yield
        finally:
            for attention, _ in self._processors:
                attention.set_processor(AttnProcessor2_0())


@contextmanager
def project_each_call(
    layers: UnetLayers, weights: Weights, chosen: Container[int], rows: Sequence[int]
) -> Iterator[None]:
    """Image attention with keys and values projected from the tokens in each call."""
    handles = []
    tokens = weights.tokens[list(rows)]  # [B, T, C]
    for number, (to_k, to_v) in weights.matrices.items():
        if number not in chosen:
            continue
        attention = layers.by_number[number].module
        seen: list[torch.Tensor] = []

        def see(module, args, query, seen=seen):
            seen[:] = [query]

        def add(module, args, seen=seen, to_k=to_k, to_v=to_v, heads=attention.heads):
            batch, count, width = seen[0].shape
            query, key, value = (
                t.view(batch, -1, heads, width // heads).transpose(1, 2)
                for t in (seen[0], F.linear(tokens, to_k), F.linear(tokens, to_v))
            )
            image = F.scaled_dot_product_attention(query, key, value)
            return (args[0] + image.transpose(1, 2).reshape(batch, count, width) * 1.0,)

        handles.append(attention.to_q.register_forward_hook(see))
        handles.append(attention.to_out[0].register_forward_pre_hook(add))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
