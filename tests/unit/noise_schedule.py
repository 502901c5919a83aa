"""Stable Diffusion's noise schedule: scaled-linear betas from 0.00085 to 0.012, 1000 steps."""

import torch

BETAS = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
ALPHAS = torch.cumprod(1 - BETAS, 0)  # alpha bar of each timestep
SIGMAS = ((1 - ALPHAS) / ALPHAS).sqrt().tolist()
