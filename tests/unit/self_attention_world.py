"""A UNet, the same in diffusers, and pictures whose self-attention others are to share."""

import math

import torch

from lib_instantstyle.methods.styleid import algorithm
from lib_instantstyle.methods.styleid.algorithm import DEFAULT_BLOCKS
from lib_instantstyle.unet.inversion import invert
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.self_attention import self_attention_hooks
from tests.miniature.networks.to_diffusers import size_vector
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY, UNetModel
from tests.unit.noise_schedule import SIGMAS
from tests.unit.unets import randomised

CONFIGS = {"sd15": SD15_TINY, "sdxl": SDXL_TINY}


class World:
    """One tiny UNet in ldm naming, the same in diffusers, an empty prompt and two pictures."""

    def __init__(self, layout, side=8):
        config = CONFIGS[layout]
        self.layout = layout
        self.unet = randomised(UNetModel(config), seed=1)
        generator = torch.Generator().manual_seed(2)
        self.context = torch.randn(1, 7, config.context_dim, generator=generator)
        self.y, self.added = None, {}
        if config.adm_in_channels:
            self.added = {
                "text_embeds": torch.randn(1, 256, generator=generator),
                "time_ids": torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]]),
            }
            self.y = size_vector(**self.added)
        pictures = torch.randn(3, 4, side, side, generator=generator)
        stretch = torch.tensor([0.8, 1.2, 0.6]).view(3, 1, 1, 1)
        self.style, self.content, self.other = (pictures * stretch).split(1)

    @property
    def layers(self):
        return find_layers(self.unet).self_attentions_in(DEFAULT_BLOCKS[self.layout])

    def noise(self, x, sigma):
        """The UNet in terms of sigma."""
        t = torch.full([len(x)], float(SIGMAS.index(sigma)))
        rows = (t.expand(len(x)), self.context.expand(len(x), -1, -1))
        y = None if self.y is None else self.y.expand(len(x), -1)
        return self.unet(x / math.sqrt(1 + sigma**2), timesteps=rows[0], context=rows[1], y=y)

    def trajectory(self, latent, schedule):
        return invert(latent, schedule.up, self.noise, schedule.kept)

    def stylise(self, schedule, settings, contents=None, content_of=(0,), predict=None):
        contents = [self.content] if contents is None else contents
        with self_attention_hooks(self.unet, self.layers) as hooks:
            transfer = algorithm.StyleTransfer(
                schedule,
                self.trajectory(self.style, schedule),
                [self.trajectory(content, schedule) for content in contents],
                content_of,
                settings,
                hooks,
            )
            return transfer.sample(predict or self.noise, self.noise, lambda i, x: None)


def hooks_of(unet):
    kinds = ("_forward_hooks", "_forward_pre_hooks")
    return sum(len(getattr(m, kind)) for m in unet.modules() for kind in kinds)
