"""Plans for tests: from units and CLIP vectors, without encoders."""

import torch

from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.plan import Plan, layer_weights

CPU = torch.device("cpu")


def terms(layers, path, kind, unit, vectors, weights=None, negative=None, mask=None, removed=None):
    """What `unit` adds with the adapter at `path`: vectors [n, E] of its references.

    removed: [n, E], what attention guidance moves away from, if not from the negative rows.
    """
    block_weights = layer_weights(unit, layers)
    negative = torch.zeros_like(vectors[0]) if negative is None else negative
    with torch.no_grad():
        stack = [vectors, negative[None], *([] if removed is None else [removed])]
        tokens = image_tokens(path, kind, torch.cat(stack), CPU)
        banks = keys_and_values(path, block_weights, tokens)
        weights = weights or [1.0] * len(vectors)
        return tuple(
            attention_term(layers.by_number[n].layer, block_weight, banks[n], unit, weights, mask)
            for n, block_weight in block_weights.items()
        )


def plan(*units):
    """One plan of several units' terms."""
    return Plan(tuple(term for of_unit in units for term in of_unit))
