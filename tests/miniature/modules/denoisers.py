"""From noise levels to the model's timesteps and back (k-diffusion's external wrappers)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CompVisDenoiser(nn.Module):
    """Called with a noise level, returns the denoised latent; the UNet predicts the noise."""

    def __init__(self, model, quantize: bool = False) -> None:
        super().__init__()
        self.inner_model = model
        self.quantize = quantize
        self.sigma_data = 1.0
        alphas_cumprod = model.alphas_cumprod
        self.register_buffer("sigmas", ((1 - alphas_cumprod) / alphas_cumprod) ** 0.5)
        self.register_buffer("log_sigmas", self.sigmas.log())

    def get_sigmas(self, n: int | None = None) -> Tensor:
        if n is None:
            return torch.cat([self.sigmas.flip(0), self.sigmas.new_zeros(1)])
        t = torch.linspace(len(self.sigmas) - 1, 0, n, device=self.sigmas.device)
        return torch.cat([self.t_to_sigma(t), self.sigmas.new_zeros(1)])

    def sigma_to_t(self, sigma: Tensor, quantize: bool | None = None) -> Tensor:
        distance = sigma.log() - self.log_sigmas[:, None]
        if self.quantize if quantize is None else quantize:
            return distance.abs().argmin(dim=0).view(sigma.shape)
        low = distance.ge(0).cumsum(dim=0).argmax(dim=0).clamp(max=len(self.sigmas) - 2)
        a, b = self.log_sigmas[low], self.log_sigmas[low + 1]
        w = ((a - sigma.log()) / (a - b)).clamp(0, 1)
        return ((1 - w) * low + w * (low + 1)).view(sigma.shape)

    def t_to_sigma(self, t: Tensor) -> Tensor:
        t = t.float()
        low, high, w = t.floor().long(), t.ceil().long(), t.frac()
        return ((1 - w) * self.log_sigmas[low] + w * self.log_sigmas[high]).exp()

    def get_scalings(self, sigma: Tensor) -> tuple[Tensor, Tensor]:
        return -sigma, 1 / (sigma**2 + self.sigma_data**2) ** 0.5

    def get_eps(self, *args, **kwargs) -> Tensor:
        return self.inner_model.apply_model(*args, **kwargs)

    def forward(self, input: Tensor, sigma: Tensor, **kwargs) -> Tensor:
        c_out, c_in = (x[:, None, None, None] for x in self.get_scalings(sigma))
        dtype = self.inner_model.dtype
        eps = self.get_eps((input * c_in).to(dtype), self.sigma_to_t(sigma), **kwargs)
        return input + eps.to(input.dtype) * c_out


class CompVisVDenoiser(CompVisDenoiser):
    """The same where the UNet predicts the velocity (Salimans and Ho 2022, arXiv 2202.00512)."""

    def forward(self, input: Tensor, sigma: Tensor, **kwargs) -> Tensor:
        level = sigma[:, None, None, None]
        total = (level**2 + self.sigma_data**2) ** 0.5
        dtype = self.inner_model.dtype
        v = self.get_eps((input / total).to(dtype), self.sigma_to_t(sigma), **kwargs)
        return input / total**2 - v.to(input.dtype) * level / total


class CompVisTimestepsDenoiser(nn.Module):
    """Called with timesteps, returns the noise (DDIM and its kin)."""

    def __init__(self, model) -> None:
        super().__init__()
        self.inner_model = model

    def forward(self, input: Tensor, timesteps: Tensor, **kwargs) -> Tensor:
        dtype = self.inner_model.dtype
        return self.inner_model.apply_model(input.to(dtype), timesteps, **kwargs).to(input.dtype)


class CompVisTimestepsVDenoiser(CompVisTimestepsDenoiser):
    """The same where the UNet predicts the velocity."""

    def forward(self, input: Tensor, timesteps: Tensor, **kwargs) -> Tensor:
        alpha = self.inner_model.alphas_cumprod[timesteps.int()][:, None, None, None]
        v = super().forward(input, timesteps, **kwargs)
        return alpha.sqrt() * v + (1 - alpha).sqrt() * input
