"""The miniature's denoisers where the UNet predicts the velocity, against diffusers' schedulers."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDIMScheduler, EulerDiscreteScheduler

from tests.miniature.forge_family.patchers import Predictor
from tests.miniature.modules.denoisers import (
    CompVisDenoiser,
    CompVisTimestepsDenoiser,
    CompVisTimestepsVDenoiser,
    CompVisVDenoiser,
)
from tests.miniature.networks.checkpoint import alphas_cumprod

BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
KINDS = {"epsilon": CompVisDenoiser, "v_prediction": CompVisVDenoiser}
TIMESTEP_KINDS = {"epsilon": CompVisTimestepsDenoiser, "v_prediction": CompVisTimestepsVDenoiser}
STEP = 700


class Told:
    """A model that tells the same whatever it is shown, and remembers what it was shown."""

    dtype = torch.float32

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(0)
        self.alphas_cumprod = alphas_cumprod()
        self.output, self.noisy = torch.randn(2, 2, 4, 8, 8, generator=generator)

    def apply_model(self, x, t, cond=None):
        self.seen = x
        return self.output


@pytest.mark.parametrize("kind", KINDS)
def test_the_denoised_latent_is_diffusers(kind) -> None:
    told = Told()
    alphas = told.alphas_cumprod
    sigma = ((1 - alphas[STEP]) / alphas[STEP]).sqrt()
    denoiser = KINDS[kind](told)
    scheduler = EulerDiscreteScheduler(**BETAS, prediction_type=kind)
    scheduler.set_timesteps(timesteps=[STEP, 0])
    torch.testing.assert_close(scheduler.sigmas[0], sigma)
    noisy = told.noisy * sigma
    step = scheduler.timesteps[0]
    scaled = scheduler.scale_model_input(noisy, step)
    expected = scheduler.step(told.output, step, noisy).pred_original_sample
    torch.testing.assert_close(denoiser(noisy, sigma.expand(2)), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(told.seen, scaled)
    predictor = Predictor(alphas, velocity=kind == "v_prediction")
    found = predictor.calculate_denoised(sigma.expand(2), told.output, noisy)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", TIMESTEP_KINDS)
def test_the_noise_at_a_timestep_is_diffusers(kind) -> None:
    told = Told()
    scheduler = DDIMScheduler(**BETAS, prediction_type=kind, clip_sample=False)
    scheduler.set_timesteps(10)
    expected = scheduler.step(told.output, STEP, told.noisy).pred_original_sample
    alpha = told.alphas_cumprod[STEP]
    noise = TIMESTEP_KINDS[kind](told)(told.noisy, torch.tensor([STEP, STEP]))
    found = (told.noisy - (1 - alpha).sqrt() * noise) / alpha.sqrt()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
