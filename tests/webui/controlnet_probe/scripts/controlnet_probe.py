"""Tells what ControlNets see and answer, and makes sd-webui-controlnet take tiny networks.

It reads the layout of a file and takes every width as known: those of the tiny networks come in
INSTANTSTYLE_TINY_SIZES. In the Forge family, which finds a ControlNet's widths by itself, InstantID
gets a made-up face: there is no other way to hand one over without InsightFace. Everything else
stays as it is.
"""

import hashlib
import importlib
import json
import os
import sys
from types import SimpleNamespace

import numpy as np
from modules import script_callbacks

NETWORKS = ("scripts.cldm", "backend.nn.cnets.cldm", "ldm_patched.controlnet.cldm")
"""Where sd-webui-controlnet, Forge, and reForge and Forge Classic keep their ControlNets."""
calls = []
"""Since they were last asked for: digests of what went in and came out, and hooks on the layers."""


def begin(_, app):
    if "scripts.cldm" in sys.modules:
        set_sizes(json.loads(os.environ["INSTANTSTYLE_TINY_SIZES"]))
    else:
        make_up_a_face()
    record()
    app.add_api_route("/controlnet-probe", take, methods=["GET"])


def set_sizes(sizes):
    guess = sys.modules["scripts.controlnet_model_guess"]
    guess.controlnet_default_config.update(sizes["sd15"])
    guess.controlnet_sdxl_config.update(sizes["sdxl"])
    encoders = importlib.import_module("annotator.clipvision")
    for name, of_one in sizes["clip"].items():
        encoders.configs[name].update(of_one)
    adapters = sys.modules["scripts.ipadapter.ipadapter_model"].IPAdapterModel
    load = adapters.load

    def load_by_width(state_dict, name):
        """It knows SDXL by 2048 numbers in a token."""
        model = load(state_dict, name)
        model.is_sdxl = model.cross_attention_dim == sizes["sdxl"]["context_dim"]
        return model

    adapters.load = staticmethod(load_by_width)


def make_up_a_face():
    from modules_forge.shared import supported_preprocessors

    embedding = np.random.default_rng(1).standard_normal(512).astype(np.float32)
    face = SimpleNamespace(embedding=embedding)
    finder = SimpleNamespace(det_model=SimpleNamespace(), get=lambda picture: [face])
    supported_preprocessors["InsightFace (InstantID)"].load_insightface = lambda: finder


def record():
    network = next(sys.modules[name] for name in NETWORKS if name in sys.modules).ControlNet
    forward = network.forward

    def recording(self, x, hint, timesteps, context, **more):
        answer = forward(self, x, hint, timesteps, context, **more)
        hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in self.modules())
        calls.append(
            {
                "latent": digest(x),
                "hint": digest(hint),
                "context": digest(context),
                "tokens": context.shape[1],
                "answer": [digest(part) for part in parts(answer)],
                "hooks": hooks,
            }
        )
        return answer

    network.forward = recording


def parts(answer):
    """Its tensors: a list, or in reForge lists by kind."""
    lists = answer.values() if isinstance(answer, dict) else [answer]
    return [tensor for each in lists for tensor in each]


def digest(tensor):
    return hashlib.sha256(tensor.detach().float().cpu().numpy().tobytes()).hexdigest()


def take():
    taken = list(calls)
    calls.clear()
    return taken


script_callbacks.on_app_started(begin)
