"""Hooks beside torch.compile, which uses graphs again that were made without them."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.unet.injection import Clock
from lib_instantstyle.unet.reach import as_written, eager, is_compiled, refuse_compiled
from tests.engine import inject
from tests.miniature.compiled import Graphs
from tests.unit.injection_world import ROWS, World
from tests.units import Unit


@pytest.fixture
def world(tmp_path):
    torch._dynamo.reset()
    yield World("sd15", tmp_path)
    torch._dynamo.reset()


def call(world, unet):
    return unet(world.x, timesteps=world.t, context=world.context, y=world.y)


def test_a_styled_call_is_eager_and_the_others_use_their_graph(world):
    plan, graphs = world.plan(Unit()), Graphs()
    compiled = torch.compile(world.unet, backend=graphs, dynamic=False)
    clock = Clock(lambda call: ROWS[0], lambda: 0.0)
    with torch.no_grad():
        expected, plain = world.run_with(plan, ROWS[0])[0], world.run()
        torch.testing.assert_close(call(world, compiled), plain)
        made, ran = graphs.made, graphs.ran
        assert made and ran
        with eager(), inject(world.unet, world.layers, plan, clock):
            assert torch.equal(call(world, compiled), expected)
        assert (graphs.made, graphs.ran) == (made, ran)
        torch.testing.assert_close(call(world, compiled), plain)
        assert graphs.made == made and graphs.ran > ran


def test_what_is_compiled_is_told():
    plain = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    assert not is_compiled(plain) and as_written(plain) is plain
    whole = torch.compile(plain, backend=Graphs())
    assert is_compiled(whole) and as_written(whole) is plain and not is_compiled(plain)
    plain[0].compile(backend=Graphs())
    assert is_compiled(plain)
    third = nn.Linear(2, 2)
    third.forward = torch.compile(third.forward, backend=Graphs())
    assert is_compiled(nn.Sequential(third))


def test_an_older_torch_is_told_by_name(monkeypatch):
    if hasattr(torch.compiler, "set_stance"):
        refuse_compiled(lambda: True)
        monkeypatch.delattr(torch.compiler, "set_stance")
    with eager():
        pass
    refuse_compiled(lambda: False)
    with pytest.raises(InstantStyleError, match=r"torch\.compile has changed.*2\.6 or later"):
        refuse_compiled(lambda: True)


def test_the_compiler_is_not_loaded_for_it():
    program = (
        "import sys, torch\n"
        "for name in [n for n in sys.modules if n.startswith('torch._dynamo')]: sys.exit(3)\n"
        "from lib_instantstyle.unet.reach import eager\n"
        "with eager(): pass\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
