"""The Lora extension that comes with A1111, for one thing: it changes weights in place.

Its patch sits on `torch.nn.Linear` itself. A layer that is called puts its weights back when
`loaded_networks` is empty, and otherwise adds the loaded ones, if that was not done before.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from modules import patches

loaded_networks: list[Network] = []


@dataclass(frozen=True)
class Network:
    """A file's worth of changes; here every layer's weight is scaled."""

    name: str
    multiplier: float


def assign_names(sd_model: torch.nn.Module) -> None:
    """Only layers of the checkpoint with a name are changed: not those of other extensions."""
    for name, module in sd_model.named_modules():
        if isinstance(module, torch.nn.Linear):
            module.network_layer_name = name.replace(".", "_")


def apply_weights(layer: torch.nn.Linear) -> None:
    """Bring the weights of a layer to what `loaded_networks` asks for."""
    if getattr(layer, "network_layer_name", None) is None:
        return
    wanted = tuple((x.name, x.multiplier) for x in loaded_networks)
    if getattr(layer, "network_current_names", ()) == wanted:
        return
    backup = getattr(layer, "network_weights_backup", None)
    if backup is None:
        backup = layer.network_weights_backup = layer.weight.detach().clone()
    with torch.no_grad():
        layer.weight.copy_(backup)
        for network in loaded_networks:
            layer.weight += backup * 0.5 * network.multiplier
    layer.network_current_names = wanted


def linear_forward(self: torch.nn.Linear, input: torch.Tensor) -> torch.Tensor:
    apply_weights(self)
    return patches.original(__name__, torch.nn.Linear, "forward")(self, input)
