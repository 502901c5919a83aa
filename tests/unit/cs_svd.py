"""The published damping of the singular values' tail, in numpy: of tokens, and of whole units."""

import numpy as np
import torch

from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.plan import layer_weights


def cs_svd(k, keep, alpha, t=None, gamma=20.0, centre=0.3):
    """The published function, [T, h]; with `t` None alpha is not scheduled."""
    a = alpha if t is None else alpha * (1 - 1 / (1 + np.exp(-gamma * (t - centre))))
    u, s, vh = np.linalg.svd(k, full_matrices=False)
    g = np.exp(-a * s)
    g[:keep] = 1
    return (u * (g * s)) @ vh


def tokens(count, width=96, seed=0, rows=1, scale=1.3):
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, count, width, generator=generator)


def close(found, expected, atol=1e-5):
    np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


def oracle_bank(unit, bank, weights, t):
    """[n + 1, T, h]: the references' tokens damped by numpy, all together or each by itself."""
    found = bank.double().clone()
    n, count, width = len(weights), *bank.shape[1:]
    groups = [[i] for i in range(n)] if unit.combine == "each" else [[*range(n)]]
    for group in groups:
        own = np.array([weights[i] for i in group], dtype=float)
        shares = np.repeat(own / np.abs(own).max(), count)[:, None]
        given = shares * bank[group].double().numpy().reshape(-1, width)
        alpha = unit.purify
        if unit.purify_scale == "relative":
            alpha = alpha / np.linalg.norm(given, 2)
        left = cs_svd(given, unit.purify_keep, alpha, t) / shares
        found[group] = torch.tensor(left).reshape(len(group), count, width)
    return found.to(bank)


def banks_of(both, vectors):
    given = torch.cat([vectors, torch.zeros_like(vectors[:1])])
    path, kind = both.first
    numbers = both.layers.by_number
    tokens = image_tokens(path, kind, given, torch.device("cpu"))
    return keys_and_values(path, numbers, 5 * tokens)


def terms_of(both, unit, vectors, weights, oracle_at=None):
    """The terms of `unit`; with `oracle_at` those that numpy's tokens have without purify."""
    banks = banks_of(both, vectors)
    found = []
    for number, block_weight in layer_weights(unit, both.layers).items():
        key, value = banks[number]
        plain = unit
        if oracle_at is not None:
            key = oracle_bank(unit, key, [1.0] * len(weights), oracle_at)
            value = oracle_bank(unit, value, weights, oracle_at)
            plain = unit.changed(purify=0.0)
        layer = both.layers.by_number[number].layer
        found.append(attention_term(layer, block_weight, (key, value), plain, weights))
    return found
