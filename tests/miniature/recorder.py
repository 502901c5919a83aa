"""Watches the UNet: which rows each call holds, and in what order the calls come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


def unet_of(sd_model) -> torch.nn.Module:
    """The UNet that a loaded checkpoint samples with, wherever the WebUI keeps it."""
    objects = getattr(sd_model, "forge_objects", None)
    return (sd_model if objects is None else objects.unet).model.diffusion_model


@dataclass
class UNetCall:
    """One call. `rows` names them: c0, c1, ... of the prompt, u0, u1, ... of the negative one."""

    rows: list[str]
    tokens: int
    x_shape: tuple[int, ...]
    timestep: float
    step: int
    keywords: tuple[str, ...]
    positional: int

    @property
    def kinds(self) -> str:
        """The rows without their numbers: "ccuu"."""
        return "".join(x[0] for x in self.rows)


@dataclass
class Recorder:
    """Use as a context manager around requests; `steps()` groups the calls by denoiser step."""

    calls: list[UNetCall] = field(default_factory=list)
    denoiser: list[Any] = field(default_factory=list)
    """The params objects of `on_cfg_denoiser`, one for each denoiser step."""

    _handles: list = field(default_factory=list)
    _left: list[tuple[str, Tensor]] = field(default_factory=list)
    _watched: set[int] = field(default_factory=set)

    def __enter__(self) -> Recorder:
        from modules import script_callbacks

        script_callbacks.on_cfg_denoiser(self._on_cfg_denoiser, name="recorder")
        self._watch()
        return self

    def __exit__(self, *exc) -> None:
        from modules import script_callbacks

        script_callbacks.remove_callbacks_for_function(self._on_cfg_denoiser)
        for handle in self._handles:
            handle.remove()

    def _watch(self) -> None:
        """The refiner and hires fix may bring another UNet, so this is asked at each step."""
        from modules import shared

        unet = unet_of(shared.sd_model)
        if id(unet) not in self._watched:
            self._watched.add(id(unet))
            handle = unet.register_forward_pre_hook(self._on_call, with_kwargs=True)
            self._handles.append(handle)

    def _on_cfg_denoiser(self, params) -> None:
        self._watch()
        self.denoiser.append(params)
        self._left = [
            (f"{kind}{i}", row)
            for kind, cond in (("c", params.text_cond), ("u", params.text_uncond))
            if cond is not None  # Forge has no negative prompt with CFG 1
            for i, row in enumerate(cond["crossattn"] if isinstance(cond, dict) else cond)
        ]

    def _name(self, context: Tensor) -> str:
        """The first row of the step that is not used yet and begins with the same tokens."""
        for i, (name, row) in enumerate(self._left):
            n = min(len(row), len(context), 77)
            if torch.equal(row[:n], context[:n]):
                del self._left[i]
                return name
        return "?"

    def _on_call(self, module, args: tuple, kwargs: dict) -> None:
        context = kwargs["context"] if "context" in kwargs else args[2]
        timesteps = kwargs["timesteps"] if "timesteps" in kwargs else args[1]
        self.calls.append(
            UNetCall(
                rows=[self._name(x) for x in context],
                tokens=context.shape[1],
                x_shape=tuple(args[0].shape),
                timestep=float(timesteps.max()),
                step=len(self.denoiser) - 1,
                keywords=tuple(kwargs),
                positional=len(args),
            )
        )

    def steps(self) -> list[list[str]]:
        """For each denoiser step its calls, as text: [["c0 c1 u0 u1"], ...]."""
        found: list[list[str]] = [[] for _ in self.denoiser]
        for call in self.calls:
            found[call.step].append(" ".join(call.rows))
        return found
