"""A UNet and the same in diffusers, with adapters of every kind."""

import functools
from types import SimpleNamespace

import torch
from diffusers.loaders import IPAdapterMixin

from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import Plan, layer_weights
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.engine import inject
from tests.miniature.networks.to_diffusers import diffusers_unet, load_adapters, size_vector
from tests.miniature.networks.unet import UNetModel
from tests.unit.adapters import adapter_tensors, as_diffusers
from tests.unit.unets import randomised

CPU = torch.device("cpu")
WIDTH = 48  # of what a projection takes
ROWS = (PROMPT, NEGATIVE, NEGATIVE, PROMPT)


class World:
    """One tiny UNet in ldm naming, and one batch of inputs."""

    def __init__(self, config):
        generator = torch.Generator().manual_seed(2)
        self.unet = randomised(UNetModel(config), seed=1)
        self.layers = find_layers(self.unet)
        self.x = torch.randn(4, 4, 8, 8, generator=generator)
        self.t = torch.tensor([500.0] * 4)
        self.context = torch.randn(4, 7, config.context_dim, generator=generator)
        self.y, self.added = None, {}
        if config.adm_in_channels:
            self.added = {
                "text_embeds": torch.randn(4, 256, generator=generator),
                "time_ids": torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]] * 4),
            }
            self.y = size_vector(**self.added)

    def run(self, plan=None):
        clock = Clock(lambda *call: ROWS, lambda: 0.0)
        with inject(self.unet, self.layers, plan or Plan(()), clock):
            return self.unet(self.x, timesteps=self.t, context=self.context, y=self.y)

    @functools.cache  # noqa: B019 - a world lives as long as its tests
    def adapter(self, projection, width=WIDTH):
        """An adapter's tensors, and diffusers' UNet with it."""
        tensors = adapter_tensors(self.layers, width, projection=projection)
        unet = diffusers_unet(self.unet)
        load_adapters(unet, as_diffusers(tensors))
        return tensors, unet

    def run_diffusers(self, unet, scale, reference, zero_image):
        """diffusers' UNet with an adapter, on the same inputs."""
        IPAdapterMixin.set_ip_adapter_scale(SimpleNamespace(unet=unet, unet_name="unet"), scale)
        features = torch.stack([reference if kind == PROMPT else zero_image for kind in ROWS])
        added = {**self.added, "image_embeds": [features[:, None]]}
        return unet(self.x, self.t, self.context, added_cond_kwargs=added).sample

    def plan(self, path, kind, feature, zero_image, unit):
        gains = layer_weights(unit, self.layers)
        tokens = image_tokens(path, kind, torch.stack([feature, zero_image]), CPU)
        banks = keys_and_values(path, gains, tokens)
        return Plan(
            tuple(
                attention_term(self.layers.by_number[n].layer, gain, banks[n], unit, [1.0])
                for n, gain in gains.items()
            )
        )
