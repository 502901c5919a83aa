"""The layer table against diffusers' own UNets."""

import pytest

from lib_instantstyle.layout import SD15, SDXL, parse_attn2, recognise
from tests.engine import layers_of
from tests.unit.unets import diffusers_unet


@pytest.mark.parametrize("layout", [SDXL, SD15], ids=lambda layout: layout.id)
def test_adapter_numbers_are_the_indices_of_diffusers_attention_processors(layout):
    names = list(diffusers_unet(layout.id).attn_processors)
    for layer in layout.layers:
        assert names[layer.number] == f"{layer.diffusers}.processor"
    assert len(layout.layers) == {"sdxl": 70, "sd15": 16}[layout.id]


@pytest.mark.parametrize("layout", [SDXL, SD15], ids=lambda layout: layout.id)
def test_transformer_indices_follow_the_call_order(layout):
    unet = diffusers_unet(layout.id)
    called = []
    for path, module in unet.named_modules():
        if parse_attn2(path):
            module.register_forward_hook(lambda *_, path=path: called.append(path))
    import torch

    unet(torch.zeros(1, 4, 16, 16), 1, torch.zeros(1, 3, 16))
    in_order = [layer.diffusers for b in layout.blocks for layer in layers_of(layout, b.index)]
    assert called == in_order


@pytest.mark.parametrize(
    ("layout", "index", "diffusers", "ldm", "numbers"),
    [
        (SDXL, 6, "up_blocks.0.attentions.1", "output_blocks.1.1", list(range(69, 88, 2))),
        (SDXL, 3, "down_blocks.2.attentions.1", "input_blocks.8.1", list(range(29, 48, 2))),
        (SDXL, 4, "mid_block.attentions.0", "middle_block.1", list(range(121, 140, 2))),
        (SDXL, 10, "up_blocks.1.attentions.2", "output_blocks.5.1", [117, 119]),
        (SD15, 9, "up_blocks.1.attentions.2", "output_blocks.5.1", [17]),
        (SD15, 6, "mid_block.attentions.0", "middle_block.1", [31]),
        (SD15, 0, "down_blocks.0.attentions.0", "input_blocks.1.1", [1]),
    ],
)
def test_a_block_has_its_four_names(layout, index, diffusers, ldm, numbers):
    block = layout.blocks[index]
    assert (block.diffusers, block.ldm) == (diffusers, ldm)
    assert [layer.number for layer in layers_of(layout, index)] == numbers


def test_a_layout_is_recognised_by_its_blocks_only():
    sdxl = {block.ldm: block.depth for block in SDXL.blocks}
    assert recognise(sdxl) is SDXL
    assert recognise({block.diffusers: block.depth for block in SD15.blocks}) is SD15
    assert recognise({**sdxl, "output_blocks.1.1": 4}) is SDXL  # fewer layers: a pruned SDXL
    ssd = {n: min(d, 4) for n, d in sdxl.items() if n != "middle_block.1"}  # as SSD-1B
    assert recognise(ssd) is SDXL
    assert recognise({**sdxl, "output_blocks.1.1": 11}) is None
    assert recognise({n: d for n, d in sdxl.items() if n != "output_blocks.1.1"}) is None
    refiner = {f"input_blocks.{n}.1": 4 for n in (4, 5, 7, 8)}
    refiner |= {f"output_blocks.{n}.1": 4 for n in range(3, 9)} | {"middle_block.1": 4}
    assert recognise(refiner) is None
    assert recognise({}) is None
