"""`<lora:name:multiplier>` in a prompt."""

import networks
import torch
from modules import extra_networks, patches, script_callbacks, sd_models, shared


class ExtraNetworkLora(extra_networks.ExtraNetwork):
    def __init__(self):
        super().__init__("lora")

    def activate(self, p, params_list):
        networks.loaded_networks.clear()
        for params in params_list:
            name, multiplier = (*params.positional, "1")[:2]
            networks.loaded_networks.append(networks.Network(name, float(multiplier)))

    def deactivate(self, p):
        """The list stays as it is until the next prompt."""


def start():
    extra_networks.register_extra_network(ExtraNetworkLora())
    # Those loaded before this extension came; in the real one it comes before any.
    for model in (shared.sd_model, *sd_models.model_data.loaded_sd_models):
        networks.assign_names(model)


def stop():
    patches.undo(networks.__name__, torch.nn.Linear, "forward")


patches.patch(networks.__name__, torch.nn.Linear, "forward", networks.linear_forward)
script_callbacks.on_before_ui(start)
script_callbacks.on_model_loaded(networks.assign_names)
script_callbacks.on_script_unloaded(stop)
