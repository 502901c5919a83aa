"""What one layer's hooks must leave alone."""

import torch

from tests.unit.injection_world import ROWS, World
from tests.units import Unit


def test_what_the_webui_handed_over_is_not_written_into(tmp_path):
    """Some attentions keep the tensor that they hand to their output layer."""
    world = World("sd15", tmp_path)
    plan = world.plan(Unit())
    kept = []
    for number in {term.layer.number for term in plan.terms}:
        world.layers.by_number[number].module.to_out[0].register_forward_pre_hook(
            lambda module, args: kept.append((args[0], args[0].clone()))
        )
    _, injection = world.run_with(plan, ROWS[0])
    assert injection.fired == len(kept) > 0
    assert all(torch.equal(tensor, as_it_came) for tensor, as_it_came in kept)
