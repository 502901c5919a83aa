"""What the WebUI tells of a step of its denoiser."""

from types import SimpleNamespace

import torch

torch.manual_seed(0)
A, N = torch.randn(2, 1, 7, 4)


def params(prompt=A, negative=N, rows=2, step=0, total_steps=4):
    denoiser = SimpleNamespace(step=step, total_steps=total_steps)
    return SimpleNamespace(
        text_cond=prompt,
        text_uncond=negative,
        x=torch.zeros(rows, 4),
        denoiser=denoiser,
        sigma=torch.ones(rows),
    )
