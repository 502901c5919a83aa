"""A UNet with two adapters, here and in diffusers; masks of a half."""

from types import SimpleNamespace

import numpy as np
import torch
from diffusers.loaders import IPAdapterMixin
from PIL import Image

from lib_instantstyle.models.catalog import scan
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.engine import inject
from tests.miniature.networks.to_diffusers import diffusers_unet, load_adapters
from tests.unit.adapters import adapter_tensors, as_diffusers, write
from tests.unit.injection_world import EMBEDDING, World
from tests.unit.plans import plan, terms
from tests.units import parse_unit

ROWS = (PROMPT, PROMPT, NEGATIVE, NEGATIVE)


class Adapters:
    """A tiny UNet with two adapters, here and in diffusers."""

    def __init__(self, folder):
        self.world = World("sd15", folder / "first")
        self.layers = self.world.layers
        self.first = (self.world.path, self.world.adapter.kind)
        self.tensors = [self.world.tensors, adapter_tensors(self.layers, EMBEDDING, seed=9)]
        path = write(folder / "second" / "b.safetensors", self.tensors[1])
        (adapter,) = scan([path.parent]).adapters
        self.second = (path, adapter.kind)
        generator = torch.Generator().manual_seed(5)
        self.vectors = torch.randn(4, EMBEDDING, generator=generator)

    def terms(self, which, unit, vectors, **more):
        return terms(self.layers, *which, parse_unit(unit), vectors, **more)

    def run(self, *units, rows=ROWS, **clock):
        clock = Clock(lambda call: rows, lambda: 0.0, **clock)
        with torch.no_grad(), inject(self.world.unet, self.layers, plan(*units), clock):
            return self.world.run()

    def plain(self):
        with torch.no_grad():
            return self.world.run()

    def diffusers(self, adapters, scales, embeds, masks=None):
        """embeds: for each adapter [rows, images, E]; masks: for each adapter [1, images, h, w]."""
        unet = diffusers_unet(self.world.unet)
        load_adapters(unet, *(as_diffusers(self.tensors[i]) for i in adapters))
        pipeline = SimpleNamespace(unet=unet, unet_name="unet")
        IPAdapterMixin.set_ip_adapter_scale(pipeline, scales)
        world = self.world
        with torch.no_grad():
            return unet(
                world.x,
                world.t,
                world.context,
                added_cond_kwargs={"image_embeds": embeds},
                cross_attention_kwargs={"ip_adapter_masks": masks} if masks else None,
            ).sample


def half_mask(side, left):
    pixels = np.zeros((side, side), dtype=np.uint8)
    pixels[:, : side // 2] = 255
    return Image.fromarray(pixels if left else 255 - pixels)
