"""The tiny control models fit the tiny networks, without a ControlNet installed.

Judged by diffusers' ControlNet, built in two ways: from the UNet of the tiny checkpoint, and from
sd-webui-controlnet's own table of sizes after `control_models.sizes()` was put into it.
"""

import json

import pytest
import torch
from diffusers import ControlNetModel

from tests.miniature.networks import SD15_TINY, SDXL_TINY, UNetModel, unfilled
from tests.miniature.networks.to_diffusers import diffusers_key, diffusers_unet
from tests.miniature.tiny.checkpoints import shapes_of
from tests.miniature.tiny.weights import random_state
from tests.webui import control_models

FAMILIES = {"sd15": SD15_TINY, "sdxl": SDXL_TINY}
STOCK = {  # scripts/controlnet_model_guess.py of sd-webui-controlnet 1.1.455
    "sd15": {
        "adm_in_channels": None, "in_channels": 4, "model_channels": 320, "num_res_blocks": 2,
        "attention_resolutions": [1, 2, 4], "transformer_depth": [1, 1, 1, 0],
        "channel_mult": [1, 2, 4, 4], "transformer_depth_middle": 1,
        "use_linear_in_transformer": False, "context_dim": 768, "num_heads": 8,
    },
    "sdxl": {
        "adm_in_channels": 2816, "in_channels": 4, "model_channels": 320, "num_res_blocks": 2,
        "attention_resolutions": [2, 4], "transformer_depth": [0, 2, 10],
        "channel_mult": [1, 2, 4], "transformer_depth_middle": 10,
        "use_linear_in_transformer": True, "context_dim": 2048, "num_head_channels": 64,
    },
}  # fmt: skip


def told(family):
    """sd-webui-controlnet's table of a family as the probe leaves it."""
    return {**STOCK[family], **json.loads(control_models.sizes())[family]}


def network(table):
    """diffusers' ControlNet of the sizes in a table of sd-webui-controlnet."""
    widths = [table["model_channels"] * mult for mult in table["channel_mult"]]
    levels = range(len(widths))
    has_attention = [2**level in table["attention_resolutions"] for level in levels]
    heads = [
        width // table["num_head_channels"] if "num_head_channels" in table else table["num_heads"]
        for width in widths
    ]
    vector = {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": table["adm_in_channels"],
    }
    with unfilled():
        return ControlNetModel(
            in_channels=table["in_channels"],
            block_out_channels=widths,
            down_block_types=[
                "CrossAttnDownBlock2D" if attends else "DownBlock2D" for attends in has_attention
            ],
            layers_per_block=table["num_res_blocks"],
            transformer_layers_per_block=[max(1, depth) for depth in table["transformer_depth"]],
            cross_attention_dim=table["context_dim"],
            attention_head_dim=heads,  # misnamed in diffusers: it is their number
            use_linear_projection=table["use_linear_in_transformer"],
            **(vector if table["adm_in_channels"] else {}),
        ).eval()


def diffusers_name(key):
    part, number, rest = (*key.split(".", 2), "")[:3]
    if part == "input_hint_block":
        place = int(number) // 2
        layer = {0: "conv_in", len(control_models.HINT): "conv_out"}.get(place)
        layer = layer or f"blocks.{place - 1}"
        return f"controlnet_cond_embedding.{layer}.{rest}"
    if part == "zero_convs":
        return f"controlnet_down_blocks.{number}.{rest.removeprefix('0.')}"
    if part == "middle_block_out":
        return f"controlnet_mid_block.{rest}"
    return diffusers_key(key)


def state_of(name):
    """A control model's tensors under diffusers' names."""
    described = control_models.control_model(control_models.CONTROL[name])
    state = random_state(described, 0, name)
    return {diffusers_name(key): tensor.float() for key, tensor in state.items()}


@pytest.mark.parametrize("name", control_models.CONTROL)
def test_a_control_model_is_as_wide_as_controlnet_is_told(name):
    family = "sdxl" if control_models.CONTROL[name] is SDXL_TINY else "sd15"
    network(told(family)).load_state_dict(state_of(name))
    assert ("sdxl" in name) == (family == "sdxl")


@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_table_is_told(family):
    """What is left out keeps the value of full size, which fits only while it is the same."""
    assert json.loads(control_models.sizes())[family].keys() == STOCK[family].keys()


@pytest.mark.parametrize("left_out", ["channel_mult", "context_dim", "model_channels"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_size_that_is_not_told_is_noticed(family, left_out):
    table = {**told(family), left_out: STOCK[family][left_out]}
    name = next(name for name, cfg in control_models.CONTROL.items() if cfg is FAMILIES[family])
    with pytest.raises(RuntimeError, match="size mismatch"):
        network(table).load_state_dict(state_of(name))


@pytest.mark.parametrize("name", ["control_v11p_sd15_canny", "controlnet-canny-sdxl-1.0"])
def test_a_control_model_steers_the_unet_of_its_family(name):
    """Each output has the shape of the skip connection that it is added to."""
    cfg = control_models.CONTROL[name]
    with unfilled():
        ours = UNetModel(cfg)
    ours.load_state_dict(random_state(shapes_of(ours), 0, "unet"))
    unet = diffusers_unet(ours).float()
    with unfilled():
        control = ControlNetModel.from_unet(unet, load_weights_from_unet=False).eval()
    control.load_state_dict(state_of(name))
    generator = torch.Generator().manual_seed(1)
    text = torch.randn(2, 77, cfg.context_dim, generator=generator)
    call = (torch.randn(2, 4, 8, 8, generator=generator), torch.tensor(500), text)
    more = {}
    if cfg.adm_in_channels:
        pooled = torch.randn(2, cfg.adm_in_channels - 6 * 256, generator=generator)
        more = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": torch.ones(2, 6)}}
    hint = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        down, middle = control(*call, controlnet_cond=hint, return_dict=False, **more)
        steered = unet(
            *call, down_block_additional_residuals=down,
            mid_block_additional_residual=middle, **more,
        ).sample  # fmt: skip
        plain = unet(*call, **more).sample
    assert (steered - plain).std() > 0.05 * plain.std()
