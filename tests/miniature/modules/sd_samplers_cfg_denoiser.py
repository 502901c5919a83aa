"""Classifier-free guidance: which rows the UNet sees, in which order, in how many calls.

The rows of a step are the prompt's (all parts of image 0, then of image 1, ...) and then the
negative prompt's. They are what an extension that tells the two apart has to get right.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from modules import prompt_parser, sd_samplers_common, shared
from modules.script_base import MaskBlendArgs
from modules.script_callbacks import (
    AfterCFGCallbackParams,
    CFGDenoisedParams,
    CFGDenoiserParams,
    cfg_after_cfg_callback,
    cfg_denoised_callback,
    cfg_denoiser_callback,
)
from modules.shared import state
from torch import Tensor

Cond = Any  # Tensor [rows, tokens, width] or a dict of tensors with that many rows


def catenate_conds(conds: list[Cond]) -> Cond:
    if not isinstance(conds[0], dict):
        return torch.cat(conds)
    return {key: torch.cat([x[key] for x in conds]) for key in conds[0]}


def subscript_cond(cond: Cond, a: int, b: int) -> Cond:
    if not isinstance(cond, dict):
        return cond[a:b]
    return {key: vec[a:b] for key, vec in cond.items()}


def _text(cond: Cond) -> Tensor:
    return cond["crossattn"] if isinstance(cond, dict) else cond


def _with_text(cond: Cond, text: Tensor) -> Cond:
    if not isinstance(cond, dict):
        return text
    cond["crossattn"] = text
    return cond


class CFGDenoiser(torch.nn.Module):
    """Calls the UNet for prompt and negative prompt, and mixes what it says."""

    def __init__(self, sampler) -> None:
        super().__init__()
        self.model_wrap = None
        self.mask = None
        self.nmask = None
        self.init_latent = None
        self.steps: int | None = None
        self.total_steps: int | None = None
        self.step = 0  # counts calls: a second-order sampler makes two for each step
        self.image_cfg_scale = None
        self.padded_cond_uncond = False
        self.padded_cond_uncond_v0 = False
        self.sampler = sampler
        self.p = None
        self.cond_scale_miltiplier = 1.0
        self.need_last_noise_uncond = False
        self.last_noise_uncond = None
        self.mask_before_denoising = False

    @property
    def inner_model(self):
        raise NotImplementedError()

    # -- mixing ------------------------------------------------------------------------------

    def combine_denoised(self, x_out, conds_list, uncond, cond_scale) -> Tensor:
        negative = x_out[-uncond.shape[0] :]
        result = negative.clone()
        for i, parts in enumerate(conds_list):
            for row, weight in parts:
                result[i] += (x_out[row] - negative[i]) * (weight * cond_scale)
        return result

    def get_pred_x0(self, x_in, x_out, sigma) -> Tensor:
        return x_out

    def update_inner_model(self) -> None:
        """After the refiner took over: new conditionings, and the model is looked up again."""
        self.model_wrap = None
        c, uc = self.p.get_conds()
        self.sampler.sampler_extra_args["cond"] = c
        self.sampler.sampler_extra_args["uncond"] = uc

    # -- prompts of different lengths --------------------------------------------------------

    def pad_cond_uncond(self, cond: Cond, uncond: Cond) -> tuple[Cond, Cond]:
        """The shorter one gets empty chunks."""
        empty = shared.sd_model.cond_stage_model_empty_prompt
        missing = (cond.shape[1] - uncond.shape[1]) // empty.shape[1]
        self.padded_cond_uncond = missing != 0

        def longer(x: Cond, chunks: int) -> Cond:
            text = _text(x)
            return _with_text(x, torch.cat([text, empty.repeat(len(text), chunks, 1)], dim=1))

        if missing < 0:
            cond = longer(cond, -missing)
        elif missing > 0:
            uncond = longer(uncond, missing)
        return cond, uncond

    def pad_cond_uncond_v0(self, cond: Cond, uncond: Cond) -> tuple[Cond, Cond]:
        """The negative prompt repeats its last token or is cut."""
        text, wanted = _text(uncond), cond.shape[1]
        self.padded_cond_uncond_v0 = text.shape[1] != wanted
        if text.shape[1] < wanted:
            text = torch.cat([text, text[:, -1:].repeat(1, wanted - text.shape[1], 1)], dim=1)
        return cond, _with_text(uncond, text[:, :wanted])

    # -- calling the UNet --------------------------------------------------------------------

    def _skips_uncond(self, sigma: Tensor, s_min_uncond: float) -> bool:
        opts, params = shared.opts, self.p.extra_generation_params
        if opts.skip_early_cond != 0.0 and self.step / self.total_steps <= opts.skip_early_cond:
            params["Skip Early CFG"] = opts.skip_early_cond
            return True
        turn = self.step % 2 or opts.s_min_uncond_all
        if turn and s_min_uncond > 0 and sigma[0] < s_min_uncond:
            params["NGMS"] = s_min_uncond
            if opts.s_min_uncond_all:
                params["NGMS all steps"] = opts.s_min_uncond_all
            return True
        return False

    def _call_rows(
        self, call: Callable[[int, int, Cond], Tensor], x_in, tensor, uncond, batch_size, skip
    ) -> Tensor:
        """All rows of one step through the UNet. `call(a, b, cond)` runs rows a to b."""
        batched = shared.opts.batch_cond_uncond
        if tensor.shape[1] == uncond.shape[1] or skip:
            cond = tensor if skip else catenate_conds([tensor, uncond])
            if batched:
                return call(0, len(x_in), cond)
            x_out = torch.zeros_like(x_in)
            for a in range(0, len(x_in), batch_size):
                b = a + batch_size
                x_out[a:b] = call(a, b, subscript_cond(cond, a, b))
            return x_out

        x_out = torch.zeros_like(x_in)
        rows = batch_size * 2 if batched else batch_size
        for a in range(0, tensor.shape[0], rows):
            b = min(a + rows, tensor.shape[0])
            x_out[a:b] = call(a, b, subscript_cond(tensor, a, b))
        first = len(x_in) - uncond.shape[0]
        x_out[first:] = call(first, len(x_in), uncond)
        return x_out

    def _blend(self, latent: Tensor, sigma: Tensor) -> Tensor:
        """Inpainting: what is not masked stays the original."""
        blended = latent * self.nmask + self.init_latent * self.mask
        if self.p.scripts is not None:
            args = MaskBlendArgs(
                latent,
                self.nmask,
                self.init_latent,
                self.mask,
                blended,
                denoiser=self,
                sigma=sigma,
            )
            self.p.scripts.on_mask_blend(self.p, args)
            blended = args.blended_latent
        return blended

    def forward(self, x, sigma, uncond, cond, cond_scale, s_min_uncond, image_cond) -> Tensor:
        if state.interrupted or state.skipped:
            raise sd_samplers_common.InterruptedException
        if sd_samplers_common.apply_refiner(self, sigma):
            cond = self.sampler.sampler_extra_args["cond"]
            uncond = self.sampler.sampler_extra_args["uncond"]

        conds_list, tensor = prompt_parser.reconstruct_multicond_batch(cond, self.step)
        uncond = prompt_parser.reconstruct_cond_batch(uncond, self.step)
        if self.mask_before_denoising and self.mask is not None:
            x = self._blend(x, sigma)

        batch_size = len(conds_list)
        repeats = torch.tensor([len(parts) for parts in conds_list])

        def rows(t: Tensor) -> Tensor:
            return torch.cat([t.repeat_interleave(repeats, dim=0), t])

        params = CFGDenoiserParams(
            rows(x),
            rows(image_cond),
            rows(sigma),
            state.sampling_step,
            state.sampling_steps,
            tensor,
            uncond,
            self,
        )
        cfg_denoiser_callback(params)
        x_in, image_cond_in, sigma_in = params.x, params.image_cond, params.sigma
        tensor, uncond = params.text_cond, params.text_uncond

        skip_uncond = self._skips_uncond(sigma, s_min_uncond)
        if skip_uncond:
            x_in, sigma_in = x_in[:-batch_size], sigma_in[:-batch_size]
        self.padded_cond_uncond = self.padded_cond_uncond_v0 = False
        if tensor.shape[1] != uncond.shape[1]:
            if shared.opts.pad_cond_uncond_v0:
                tensor, uncond = self.pad_cond_uncond_v0(tensor, uncond)
            elif shared.opts.pad_cond_uncond:
                tensor, uncond = self.pad_cond_uncond(tensor, uncond)

        def call(a: int, b: int, c: Cond) -> Tensor:
            extra = {"c_concat": [image_cond_in[a:b]]}
            cond_dict = {**c, **extra} if isinstance(c, dict) else {"c_crossattn": [c], **extra}
            return self.inner_model(x_in[a:b], sigma_in[a:b], cond=cond_dict)

        x_out = self._call_rows(call, x_in, tensor, uncond, batch_size, skip_uncond)

        first_rows = [parts[0][0] for parts in conds_list]
        if skip_uncond:
            x_out = torch.cat([x_out, x_out[first_rows]])
        cfg_denoised_callback(
            CFGDenoisedParams(x_out, state.sampling_step, state.sampling_steps, self.inner_model)
        )
        if self.need_last_noise_uncond:
            self.last_noise_uncond = x_out[-uncond.shape[0] :].clone()
        scale = 1.0 if skip_uncond else cond_scale * self.cond_scale_miltiplier
        denoised = self.combine_denoised(x_out, conds_list, uncond, scale)
        if not self.mask_before_denoising and self.mask is not None:
            denoised = self._blend(denoised, sigma)

        self.sampler.last_latent = self.get_pred_x0(x_in[first_rows], x_out[first_rows], sigma)
        sd_samplers_common.store_latent(self._preview(x_in, x_out, denoised, first_rows, sigma))

        after = AfterCFGCallbackParams(denoised, state.sampling_step, state.sampling_steps)
        cfg_after_cfg_callback(after)
        self.step += 1
        return after.x

    def _preview(self, x_in, x_out, denoised, first_rows, sigma) -> Tensor:
        if shared.opts.live_preview_content == "Prompt":
            return self.sampler.last_latent
        return self.get_pred_x0(x_in[first_rows], denoised, sigma)
