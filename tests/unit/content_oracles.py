"""What the content modes are held to, in numpy: MaskST's scripts, all splits, and the SVD."""

import numpy as np


def maskst(e1, e2, theta, s=1.0):
    """The elements of the image vector e1 above the quantile of their agreement with text e2."""
    p = e1 / np.linalg.norm(e1) * (e2 / np.linalg.norm(e2))
    return np.where(p > np.quantile(p, theta), (1 - s) * e1, e1)


def split2(p):
    """The threshold of the best clusters of p, found by trying each."""
    v = np.sort(p)
    n = len(v)
    cost = [v[:i].var() * i + v[i:].var() * (n - i) for i in range(1, n)]
    i = int(np.argmin(cost)) + 1
    return (v[i - 1] + v[i]) / 2


def remove_subspace(e, texts, s=1.0):
    """The image vector e without what it has in the space of the texts [n, E]."""
    _, d, v = np.linalg.svd(texts, full_matrices=False)
    v = v[d > 1e-3 * d[0]]
    return e - s * (e @ v.T) @ v
