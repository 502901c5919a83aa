"""Attention in several ways, switched at class level while the program runs.

All compute `to_q(x)` as a module. Some hand the result to the container `to_out`, others reach into
it; an extension that hooks a layer has to fit both.
"""

from __future__ import annotations

import math

import torch
from modules import shared
from torch import Tensor

from tests.miniature.networks.attention import CrossAttention


def _heads(x: Tensor, heads: int) -> Tensor:
    """[B, N, heads * d] -> [B * heads, N, d]."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2).flatten(0, 1)


def _unheads(x: Tensor, heads: int) -> Tensor:
    """[B * heads, N, d] -> [B, N, heads * d]."""
    return x.unflatten(0, (-1, heads)).transpose(1, 2).flatten(2)


def _qkv(self: CrossAttention, x: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    context = x if context is None else context
    return self.to_q(x), self.to_k(context), self.to_v(context)


def attention_CrossAttention_forward(self, x, context=None, mask=None, **kwargs):
    """No optimisation: one large softmax, then the container."""
    q, k, v = (_heads(t, self.heads) for t in _qkv(self, x, context))
    weights = (q @ k.transpose(1, 2) * self.scale).softmax(dim=-1)
    return self.to_out(_unheads(weights @ v, self.heads))


def split_cross_attention_forward_v1(self, x, context=None, mask=None, **kwargs):
    """Two of the head rows at a time, then the container."""
    q, k, v = (_heads(t, self.heads) for t in _qkv(self, x, context))
    out = torch.empty_like(q)
    for i in range(0, len(q), 2):
        part = slice(i, i + 2)
        out[part] = (q[part] @ k[part].transpose(1, 2) * self.scale).softmax(dim=-1) @ v[part]
    return self.to_out(_unheads(out, self.heads))


def split_cross_attention_forward(self, x, context=None, mask=None, **kwargs):
    """Doggettx: the queries in slices, then the container."""
    q, k, v = _qkv(self, x, context)
    q, k, v = (_heads(t, self.heads) for t in (q, k * self.scale, v))
    out = torch.empty_like(q)
    size = max(1, math.ceil(q.shape[1] / 2))
    for i in range(0, q.shape[1], size):
        out[:, i : i + size] = (q[:, i : i + size] @ k.transpose(1, 2)).softmax(dim=-1) @ v
    return self.to_out(_unheads(out, self.heads))


def _fused(self: CrossAttention, x: Tensor, context: Tensor | None) -> Tensor:
    """PyTorch's own attention, before the output projection. x [B, N, D] -> [B, N, D]."""
    q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in _qkv(self, x, context))
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    return out.transpose(1, 2).flatten(2)


def split_cross_attention_forward_invokeAI(self, x, context=None, mask=None, **kwargs):
    """All at once where memory allows, which it does here, then the container.

    Most tests paint with this one, so it is also the quickest.
    """
    return self.to_out(_fused(self, x, context))


def sub_quad_attention_forward(self, x, context=None, mask=None, **kwargs):
    """Queries in chunks; the two parts of the container are called one after the other."""
    q, k, v = (_heads(t, self.heads) for t in _qkv(self, x, context))
    chunks = [(c @ k.transpose(1, 2) * self.scale).softmax(dim=-1) @ v for c in q.split(64, dim=1)]
    projection, dropout = self.to_out
    return dropout(projection(_unheads(torch.cat(chunks, dim=1), self.heads)))


def scaled_dot_product_attention_forward(self, x, context=None, mask=None, **kwargs):
    """PyTorch's own; the two parts of the container are called one after the other."""
    projection, dropout = self.to_out
    return dropout(projection(_fused(self, x, context)))


def scaled_dot_product_no_mem_attention_forward(self, x, context=None, mask=None, **kwargs):
    return scaled_dot_product_attention_forward(self, x, context, mask, **kwargs)


class SdOptimization:
    name: str | None = None
    label: str | None = None
    cmd_opt: str | None = None
    priority: int = 0

    def title(self) -> str:
        return self.name if self.label is None else f"{self.name} - {self.label}"

    def is_available(self) -> bool:
        return True

    def apply(self) -> None:
        pass

    def undo(self) -> None:
        CrossAttention.forward = attention_CrossAttention_forward


def _optimization(name, forward, priority, label=None, cmd_opt=None) -> SdOptimization:
    def apply(self) -> None:
        CrossAttention.forward = forward

    fields = {
        "name": name,
        "label": label,
        "cmd_opt": cmd_opt,
        "priority": priority,
        "apply": apply,
    }
    return type(f"SdOptimization_{name}", (SdOptimization,), fields)()


def list_optimizers(res: list) -> None:
    """On a machine without a graphics card InvokeAI's comes first, hence "Automatic" takes it."""
    sdp = "scaled dot product"
    res.extend(
        [
            _optimization(
                "sdp-no-mem",
                scaled_dot_product_no_mem_attention_forward,
                80,
                f"{sdp} without memory efficient attention",
                "opt_sdp_no_mem_attention",
            ),
            _optimization(
                "sdp", scaled_dot_product_attention_forward, 70, sdp, "opt_sdp_attention"
            ),
            _optimization(
                "sub-quadratic", sub_quad_attention_forward, 10, None, "opt_sub_quad_attention"
            ),
            _optimization(
                "V1", split_cross_attention_forward_v1, 10, "original v1", "opt_split_attention_v1"
            ),
            _optimization(
                "InvokeAI",
                split_cross_attention_forward_invokeAI,
                1000,
                None,
                "opt_split_attention_invokeai",
            ),
            _optimization(
                "Doggettx", split_cross_attention_forward, 90, None, "opt_split_attention"
            ),
        ]
    )


def selected(optimizers: list[SdOptimization], choice: str) -> SdOptimization | None:
    if choice == "None" or not optimizers:
        return None
    if choice != "Automatic":
        return next((x for x in optimizers if x.title() == choice), optimizers[0])
    if shared.cmd_opts.disable_opt_split_attention:
        return None
    by_flag = (x for x in optimizers if x.cmd_opt and getattr(shared.cmd_opts, x.cmd_opt, False))
    return next(by_flag, optimizers[0])
