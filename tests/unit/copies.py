"""Copies of networks."""

import copy

from tests.miniature.networks.unet import UNetModel
from tests.miniature.networks.unfilled import unfilled


def copy_of(unet):
    """A copy of a network. One of ours is built again: to follow all its parts takes longer."""
    if not isinstance(unet, UNetModel):
        return copy.deepcopy(unet)
    with unfilled():
        copied = UNetModel(unet.cfg)
    copied.load_state_dict({name: x.clone() for name, x in unet.state_dict().items()}, assign=True)
    return copied.eval().requires_grad_(False)
