"""Attention optimisations, replaced UNets and extra networks."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from tests.host.miniature.cases import CHECKPOINTS


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
def test_attention_is_switched_for_all_layers_at_once(webui, checkpoint):
    """Every optimisation gives the same picture and calls `to_q` and `to_out[0]` once."""
    from modules import sd_hijack

    webui.use(checkpoint + ".")
    layers = [m.attn2 for m in webui.unet.modules() if hasattr(m, "attn2")]
    pictures, forwards, containers = [], set(), {}
    for name in ["None", *(x.title() for x in sd_hijack.optimizers), "Automatic"]:
        webui.set(cross_attention_optimization=name)
        forwards.add(type(layers[0]).forward)
        parts = {
            "to_q": [x.to_q for x in layers],
            "to_out[0]": [x.to_out[0] for x in layers],
            "to_out": [x.to_out for x in layers],
        }
        with counted(parts) as calls:
            pictures.append(np.array(webui.txt2img().images[0], int))
        assert calls["to_q"] == calls["to_out[0]"] == 3 * len(layers)
        containers[name] = calls["to_out"] > 0
    assert len(forwards) >= 6
    assert np.max([np.abs(x - pictures[0]).max() for x in pictures]) <= 2
    assert containers["Automatic"]
    assert not containers["sdp - scaled dot product"]


@contextmanager
def counted(parts):
    """How often each group of modules was called."""
    calls = dict.fromkeys(parts, 0)

    def count(name):
        def hook(*_):
            calls[name] += 1

        return hook

    handles = [
        module.register_forward_pre_hook(count(name))
        for name, modules in parts.items()
        for module in modules
    ]
    yield calls
    for handle in handles:
        handle.remove()


def test_a_swapped_unet_leaves_the_modules_silent(webui):
    from modules import script_callbacks, sd_unet

    class Unet(sd_unet.SdUnet):
        def forward(self, x, timesteps, context, *args, **kwargs):
            return x * 0.5

    class Option(sd_unet.SdUnetOption):
        label = "other"

        def create_unet(self):
            return Unet()

    def add(options):
        options.append(Option())

    script_callbacks.on_list_unets(add)
    sd_unet.list_unets()
    webui.shared.opts.data["sd_unet"] = "other"
    calls = []
    layer = next(m.attn2 for m in webui.unet.modules() if hasattr(m, "attn2"))
    handle = layer.register_forward_pre_hook(lambda *_: calls.append(1))
    webui.txt2img()
    assert calls == []
    script_callbacks.remove_callbacks_for_function(add)
    webui.shared.opts.data["sd_unet"] = "Automatic"
    sd_unet.list_unets()
    webui.txt2img()
    assert len(calls) == 3
    handle.remove()


def test_extra_networks(webui):
    from modules import extra_networks

    seen = []

    class Network(extra_networks.ExtraNetwork):
        def activate(self, p, params_list):
            seen.append([x.positional for x in params_list])
            if params_list and params_list[0].positional == ["bad"]:
                raise ValueError("no such thing")

        def deactivate(self, p):
            seen.append("deactivated")

    extra_networks.register_extra_network(Network("probe"))
    try:
        plain = webui.txt2img(prompt="a cat")
        tagged = webui.txt2img(prompt="a cat<probe:style:0.5>")
        assert tagged.pixels == plain.pixels
        assert tagged.infotexts[0].startswith("a cat<probe:style:0.5>")
        assert seen == [[], [["style", "0.5"]], "deactivated"]
        assert webui.txt2img(prompt="a cat<probe:bad>").pixels == plain.pixels
        assert any("activating extra network" in x for x in webui.reports)
        seen.clear()
        webui.txt2img(
            prompt="a cat<probe:x>", enable_hr=True, denoising_strength=0.5, hr_prompt="a dog"
        )
        assert seen == [[["x"]], [], "deactivated"]
        seen.clear()
        webui.txt2img(disable_extra_networks=True, prompt="a cat<probe:x>")
        assert seen == []
    finally:
        extra_networks.extra_network_registry.pop("probe")
