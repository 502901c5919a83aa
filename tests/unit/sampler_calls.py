"""What a sampler calls: it asks for the progress of each evaluation and notes the answer."""

import torch
from torch import nn


class Denoiser(nn.Module):
    """Asks for the progress of each evaluation, from inside as the WebUI's callback does."""

    def __init__(self, sampler, progress, total):
        super().__init__()
        self.sampler, self.progress, self.total_steps, self.step = sampler, progress, total, 0
        self.seen = []

    def forward(self, x, sigma, belongs_to):
        i = 2  # not the sampler's
        level = torch.as_tensor(sigma).reshape(-1).expand(i)
        fraction = self.progress.fraction(self, level)
        assert fraction == self.progress.fraction(self, level)  # asked twice, answered once
        self.seen.append((belongs_to, fraction))
        self.step += 1
