"""Words by which a text encoder is held to the stock one, and how much they must agree.

Checkpoints trained on other captions (Pony, Illustrious, NoobAI) bring text encoders that have
left the space of the image encoder; the shapes of their tensors are the same.
"""

from __future__ import annotations

# Everyday things of all kinds, one token or two each.
PROBE_WORDS = (
    "apple", "bicycle", "bird", "boat", "book", "bridge", "cat", "chair", "cloud", "cup",
    "dog", "flower", "girl", "house", "landscape", "man", "mountain", "rabbit", "street", "tree",
)  # fmt: skip

# Mean cosine. Other number formats stay above 0.999. At 0.9 the vector that is subtracted points
# 26 degrees away from the stock one: of what it takes out, 0.44 times its length is something
# else than what the words say.
MIN_AGREEMENT = 0.9
