"""One cross-attention without a UNet: text attention, queries and terms in; the sum out."""

import numpy as np
import torch

from lib_instantstyle.layout import SDXL
from lib_instantstyle.unet.attention_hook import AttentionSum
from lib_instantstyle.unet.call_state import CallState
from lib_instantstyle.unet.fusion import ALPHA, TAU
from lib_instantstyle.unet.image_attention import ImageAttention
from lib_instantstyle.unet.plan import AttentionTerm, When
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT

TOKENS, HEADS, WIDTH, IMAGE_TOKENS = 24, 2, 8, 4
LATENT = (4, 6)  # of TOKENS tokens
ROWS = (PROMPT, PROMPT, NEGATIVE, NEGATIVE)
LAYER = next(iter(SDXL.by_number.values()))


class OneLayer:
    """Random text attention [B, N, h], queries, and banks of keys and values [R, T, h]."""

    def __init__(self, rows=ROWS, seed=0, bank_rows=2):
        generator = torch.Generator().manual_seed(seed)

        def random(*shape):
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.rows = rows
        self.text = random(len(rows), TOKENS, WIDTH)
        self.query = random(len(rows), TOKENS, WIDTH)
        self.key = random(bank_rows, IMAGE_TOKENS, WIDTH)
        self.value = random(bank_rows, IMAGE_TOKENS, WIDTH)

    def term(self, weight=1.0, **more):
        given = {"key": self.key, "value": self.value, **more}
        return AttentionTerm(LAYER, weight, **given)

    def run(self, *terms, auto=None, strength=1.0):
        call = CallState(rows=self.rows, strengths={When(): strength}, latent=LATENT)
        call.auto = auto or {}
        images = ImageAttention(HEADS).of(self.query, terms, self.rows, {}, self.text.dtype)
        return AttentionSum(LAYER.number, call).of(self.text, images, self.rows)

    def attention(self, row, bank, key=None, value=None):
        """What a row of the call attends to in a row of the bank, by numpy: [N, h]."""
        key, value = (self.key if key is None else key), (self.value if value is None else value)
        parts = []
        for head in range(HEADS):
            own = slice(head * WIDTH // HEADS, (head + 1) * WIDTH // HEADS)
            q, k, v = (x.numpy()[:, own] for x in (self.query[row], key[bank], value[bank]))
            logits = q @ k.T / np.sqrt(WIDTH // HEADS)
            shares = np.exp(logits - logits.max(1, keepdims=True))
            parts.append(shares / shares.sum(1, keepdims=True) @ v)
        return np.concatenate(parts, axis=1)


def nag(plus, minus, phi=3.0, tau=TAU, alpha=ALPHA):
    """Normalised attention guidance in numpy: [N, h]."""
    z = plus + phi * (plus - minus)
    ratio = np.abs(z).sum(-1, keepdims=True) / np.abs(plus).sum(-1, keepdims=True)
    return alpha * z * np.minimum(ratio, tau) / ratio + (1 - alpha) * plus
