"""sd-webui-controlnet's changes to a UNet, taken off and put back."""

import pytest
import torch
from torch import nn

from lib_instantstyle.hosts.controlnet import without_controlnet


def hacked_unet():
    """As the extension leaves one: another forward, and what its IP-Adapters add."""
    unet = nn.Sequential(nn.Identity(), nn.Identity())
    unet._original_forward = unet.forward
    unet.forward = lambda x: x + 100
    unet[0].ipadapter_hacks = [lambda x: x + 1, lambda x: x + 2]
    unet[1].ipadapter_hacks = []  # it leaves such behind
    return unet


def test_the_checkpoint_alone_is_asked_and_all_is_put_back():
    unet = hacked_unet()
    forward, hacks = unet.forward, unet[0].ipadapter_hacks
    with without_controlnet(unet):
        assert unet(torch.zeros(1)).item() == 0
        assert unet[0].ipadapter_hacks == []
    assert unet(torch.zeros(1)).item() == 100
    assert unet.forward is forward and unet[0].ipadapter_hacks is hacks


def test_an_error_puts_it_back_too():
    unet = hacked_unet()
    with pytest.raises(ZeroDivisionError), without_controlnet(unet):
        raise ZeroDivisionError
    assert unet(torch.zeros(1)).item() == 100 and len(unet[0].ipadapter_hacks) == 2


def test_a_unet_that_nobody_changed_stays_untouched():
    unet = nn.Sequential(nn.Identity())
    before = dict(vars(unet))
    with without_controlnet(unet):
        assert vars(unet) == before
    assert vars(unet) == before
