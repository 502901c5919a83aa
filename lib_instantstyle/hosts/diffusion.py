"""The loaded checkpoint as a plain diffusion model, for use outside the user's sampling.

Some methods need the latent of a picture and the noise that the UNet predicts in it. Both use the
WebUI's own functions, so that its memory management, precision and model types apply, but not its
guidance, progress bar and previews.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from modules import prompt_parser, sd_samplers, sd_samplers_common, shared

from lib_instantstyle.hosts import live
from lib_instantstyle.hosts.controlnet import without_controlnet
from lib_instantstyle.unet.inversion import Denoiser


class Diffusion:
    """The checkpoint of the generation `p`, in AUTOMATIC1111's WebUI."""

    def __init__(self, p: Any) -> None:
        self._p = p

    @property
    def checkpoint(self) -> str:
        """A text that tells this checkpoint from others: its file and hash."""
        model = live.sd_model(self._p)
        info = getattr(model, "sd_checkpoint_info", None)
        return f"{getattr(info, 'filename', '')} {getattr(model, 'sd_model_hash', '')}"

    def sigmas(self) -> list[float]:
        """The sigma of each of the 1000 timesteps."""
        table: list[float] = self._denoiser().sigmas.float().cpu().tolist()
        return table

    @contextmanager
    def recording_latents(self) -> Iterator[list[torch.Tensor]]:
        """Collect the latents [n, 4, h, w] of all pictures that the VAE encodes in this block.

        They are the means of the VAE's distribution, of which the WebUI draws a sample.
        """
        latents: list[torch.Tensor] = []

        def record(module: Any, args: Any, moments: torch.Tensor) -> None:
            latents.append(self._scaled(moments.chunk(2, dim=1)[0].float()).to(shared.device))

        handle = self._vae().quant_conv.register_forward_hook(record)
        try:
            yield latents
        finally:
            handle.remove()

    @property
    def others_attend(self) -> bool:
        """Whether another script has replaced the UNet's self-attention."""
        return False

    def encode(self, pixels: torch.Tensor) -> torch.Tensor:
        """The mean latent [1, 4, h, w] of a picture [1, 3, 8h, 8w] in 0..1."""
        method = sd_samplers_common.approximation_indexes.get(shared.opts.sd_vae_encode_method)
        # The WebUI's function draws random numbers, which must not change anybody else's.
        untouched = torch.random.fork_rng(devices=range(torch.cuda.device_count()))
        with untouched, self.recording_latents() as latents:
            encoded: torch.Tensor = sd_samplers_common.images_tensor_to_samples(
                pixels, method, live.sd_model(self._p)
            )
        return latents[0] if latents else encoded.float()  # TAESD knows one latent only

    def empty_prompt(self, width: int, height: int) -> Any:
        """The conditioning of the empty prompt, for one picture of this size in pixels."""
        words = prompt_parser.SdConditioning([""], width=width, height=height)
        return live.sd_model(self._p).get_learned_conditioning(words)

    def unconditional_denoiser(self, conditioning: Any) -> Denoiser:
        """A denoiser by one UNet call with `conditioning`, and no guidance.

        It raises the WebUI's InterruptedException if the user interrupts.
        """
        denoiser = self._denoiser()

        def noise(x: torch.Tensor, sigma: float) -> torch.Tensor:
            stop_if_interrupted()
            parts = _for_rows(conditioning, len(x))  # a new one: the WebUI changes what it is given
            cond = parts if isinstance(parts, dict) else {"c_crossattn": [parts]}
            with without_controlnet(live.sd_model(self._p).model.diffusion_model):
                denoised: torch.Tensor = denoiser(x, x.new_full([len(x)], sigma), cond=cond)
            return (x - denoised) / sigma

        return noise

    def _denoiser(self) -> Any:
        """k-diffusion's view of the model: called with a sigma, returns the denoised latent."""
        return sd_samplers.create_sampler("Euler", live.sd_model(self._p)).model_wrap

    def _vae(self) -> Any:
        return live.sd_model(self._p).first_stage_model

    def _scaled(self, latent: torch.Tensor) -> torch.Tensor:
        scaled: torch.Tensor = latent * live.sd_model(self._p).scale_factor
        return scaled


class ForgeDiffusion(Diffusion):
    """The same in Forge, reForge and Forge Classic."""

    def unconditional_denoiser(self, conditioning: Any) -> Denoiser:
        # The UNet without the patches that other scripts put on it for this sampling. They are for
        # its rows, and some keep tensors of the last call by layer: ControlNet's IP-Adapter and
        # reference-only, regions of a prompt, self-attention guidance.
        patcher = live.sd_model(self._p).forge_objects_after_applying_lora.unet
        given = conditioning if isinstance(conditioning, dict) else {"crossattn": conditioning}

        def noise(x: torch.Tensor, sigma: float) -> torch.Tensor:
            stop_if_interrupted()
            parts = _for_rows(given, len(x))
            level = x.new_full([len(x)], sigma)
            options = {
                **patcher.model_options.get("transformer_options", {}),
                "cond_or_uncond": [0],
                "sigmas": level,
                "cond_mark": torch.zeros_like(level),
                "cond_indices": list(range(len(x))),
                "uncond_indices": [],
            }
            more = {"y": parts["vector"].to(x.device)} if "vector" in parts else {}
            denoised: torch.Tensor = patcher.model.apply_model(
                x,
                level,
                c_crossattn=parts["crossattn"].to(x.device),
                transformer_options=options,
                **more,
            )
            return (x - denoised) / sigma

        return noise

    @property
    def others_attend(self) -> bool:
        options = live.sd_model(self._p).forge_objects.unet.model_options.get(
            "transformer_options", {}
        )
        return bool(options.get("patches_replace", {}).get("attn1"))

    def _vae(self) -> Any:
        return live.sd_model(self._p).forge_objects.vae.first_stage_model

    def _scaled(self, latent: torch.Tensor) -> torch.Tensor:
        scaling = self._vae()  # in Forge
        if not hasattr(scaling, "process_in"):
            scaling = live.sd_model(self._p).forge_objects.unet.model.model_config.latent_format
        scaled: torch.Tensor = scaling.process_in(latent)
        return scaled


def _for_rows(conditioning: Any, count: int) -> Any:
    """The conditioning of one picture for `count` of them: a tensor [1, ...] or a dict of such."""
    if isinstance(conditioning, dict):
        return {key: _for_rows(value, count) for key, value in conditioning.items()}
    if isinstance(conditioning, torch.Tensor) and count > 1:
        return conditioning.expand(count, *conditioning.shape[1:])
    return conditioning


def stop_if_interrupted() -> None:
    """Raise InterruptedException if the user has interrupted, as the WebUI's denoiser does."""
    if shared.state.interrupted or shared.state.skipped:
        raise sd_samplers_common.InterruptedException


def announce(text: str) -> None:
    """Show `text` beside the progress bar; "" for none."""
    shared.state.textinfo = text or None
