"""A UNet, the same in diffusers, and a linear adapter for both."""

from dataclasses import replace

import torch

from lib_instantstyle.methods.ip_adapter.projections import image_tokens, keys_and_values
from lib_instantstyle.methods.ip_adapter.terms import attention_term
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.layers import find_layers
from lib_instantstyle.unet.plan import Plan, layer_weights
from lib_instantstyle.unet.rows import NEGATIVE, PROMPT
from tests.engine import inject
from tests.miniature.networks.to_diffusers import size_vector
from tests.miniature.networks.unet import SD15_TINY, SDXL_TINY, UNetModel
from tests.unit.adapters import adapter_tensors, write
from tests.unit.unets import randomised

EMBEDDING = 24
SD2_LIKE = replace(SD15_TINY, context_dim=96, linear_projection=True, num_head_channels=16)
INPAINTING = replace(SD15_TINY, in_channels=9)


class World:
    """One tiny UNet in ldm naming, the same in diffusers, and an adapter file for both."""

    def __init__(self, layout_id, folder):
        self.config = {
            "sdxl": SDXL_TINY,
            "sd15": SD15_TINY,
            "sd2": SD2_LIKE,
            "inpainting": INPAINTING,
        }[layout_id]
        self.unet = randomised(UNetModel(self.config), seed=1)
        self.layers = find_layers(self.unet)
        self.tensors = adapter_tensors(self.layers, EMBEDDING)
        self.path = write(folder / "adapter.safetensors", self.tensors)
        (self.adapter,) = scan([folder]).adapters
        generator = torch.Generator().manual_seed(2)
        self.x = torch.randn(4, self.config.in_channels, 16, 16, generator=generator)
        self.t = torch.tensor([500.0] * 4)
        self.context = torch.randn(4, 7, self.config.context_dim, generator=generator)
        self.vector = torch.randn(EMBEDDING, generator=generator)
        self.y, self.added = None, {}
        if self.config.adm_in_channels:
            self.added = {
                "text_embeds": torch.randn(4, 256, generator=generator),
                "time_ids": torch.tensor([[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]] * 4),
            }
            self.y = size_vector(**self.added)

    def plan(self, unit, layers=None):
        layers = layers or self.layers
        gains = layer_weights(unit, layers)
        features = torch.stack([self.vector, torch.zeros_like(self.vector)])
        tokens = image_tokens(self.path, self.adapter.kind, features, torch.device("cpu"))
        banks = keys_and_values(self.path, gains, tokens)
        return Plan(
            tuple(
                attention_term(layers.by_number[n].layer, gain, banks[n], unit, [1.0])
                for n, gain in gains.items()
            )
        )

    def run(self, unet=None):
        return (unet or self.unet)(self.x, timesteps=self.t, context=self.context, y=self.y)

    def run_with(self, plan, rows, fraction=0.0):
        clock = Clock(lambda call: rows, lambda: fraction)
        with inject(self.unet, self.layers, plan, clock) as injection:
            return self.run(), injection

    def run_diffusers(self, unet, rows=None):
        """diffusers' UNet on the same input; rows of NEGATIVE get the zero image."""
        added = dict(self.added)
        if rows is not None:
            zero = torch.zeros_like(self.vector)
            vectors = [self.vector if kind == PROMPT else zero for kind in rows]
            added["image_embeds"] = [torch.stack(vectors)[:, None]]
        return unet(self.x, self.t, self.context, added_cond_kwargs=added).sample


ROWS = [
    (PROMPT, PROMPT, NEGATIVE, NEGATIVE),
    (NEGATIVE, PROMPT, NEGATIVE, PROMPT),
    (PROMPT,) * 4,
    (NEGATIVE,) * 4,
]
