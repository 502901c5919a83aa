"""A switch: the UNet as a graph of torch.compile, as some WebUIs and their scripts make one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tests.miniature.recorder import unet_of


class Graphs:
    """A backend that runs graphs as they are; how often one was made, and how often it ran."""

    def __init__(self) -> None:
        self.made = self.ran = 0

    def __call__(self, graph: torch.fx.GraphModule, inputs: Any) -> Any:
        self.made += 1

        def run(*args: Any) -> Any:
            self.ran += 1
            return graph(*args)

        return run


@contextmanager
def compiled_unet(model: Any) -> Iterator[Graphs]:
    """The UNet of the checkpoint `model` is compiled in this block."""
    owner = getattr(model, "model", None)
    if not hasattr(owner, "diffusion_model"):
        owner = model.forge_objects.unet.model
    unet, graphs = unet_of(model), Graphs()
    torch._dynamo.reset()
    owner.diffusion_model = torch.compile(unet, backend=graphs, dynamic=False)
    try:
        yield graphs
    finally:
        owner.diffusion_model = unet
        torch._dynamo.reset()
