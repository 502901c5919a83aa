"""Other UNets in place of the checkpoint's, as TensorRT does: hooks on its modules fall mute."""

from __future__ import annotations

import torch
from modules import devices, script_callbacks, shared

unet_options: list[SdUnetOption] = []
current_unet_option: SdUnetOption | None = None
current_unet: SdUnet | None = None
original_forward = None


class SdUnetOption:
    model_name: str | None = None
    label: str | None = None

    def create_unet(self) -> SdUnet:
        raise NotImplementedError()


class SdUnet(torch.nn.Module):
    option: SdUnetOption | None = None

    def forward(self, x, timesteps, context, *args, **kwargs):
        raise NotImplementedError()

    def activate(self) -> None:
        pass

    def deactivate(self) -> None:
        pass


def list_unets() -> None:
    unet_options[:] = script_callbacks.list_unets_callback()


def get_unet_option(option: str | None = None) -> SdUnetOption | None:
    option = option or shared.opts.sd_unet
    if option == "Automatic":
        name = shared.sd_model.sd_checkpoint_info.model_name
        return next((x for x in unet_options if x.model_name == name), None)
    return next((x for x in unet_options if x.label == option), None)


def apply_unet(option: str | None = None) -> None:
    global current_unet_option, current_unet
    new_option = get_unet_option(option)
    if new_option == current_unet_option:
        return
    if current_unet is not None:
        current_unet.deactivate()
    current_unet_option = new_option
    if new_option is None:
        current_unet = None
        shared.sd_model.model.diffusion_model.to(devices.device)
        return
    current_unet = new_option.create_unet()
    current_unet.option = new_option
    current_unet.activate()


def create_unet_forward(original_forward):
    def UNetModel_forward(self, x, timesteps=None, context=None, *args, **kwargs):
        if current_unet is not None:
            return current_unet.forward(x, timesteps, context, *args, **kwargs)
        return original_forward(self, x, timesteps, context, *args, **kwargs)

    return UNetModel_forward
