"""Makes sd-webui-controlnet take tiny networks, and tells what its ControlNets see and answer.

It reads the layout of a file and takes every width as known: those of the tiny networks come in
INSTANTSTYLE_TINY_SIZES. Everything else of it stays as it is.
"""

import hashlib
import importlib
import json
import os
import sys

from modules import script_callbacks

SIZES = json.loads(os.environ["INSTANTSTYLE_TINY_SIZES"])
calls = []
"""Since they were last asked for: digests of what went in and came out, and hooks on the layers."""


def begin(_, app):
    set_sizes()
    record()
    app.add_api_route("/controlnet-probe", take, methods=["GET"])


def set_sizes():
    guess = sys.modules["scripts.controlnet_model_guess"]
    guess.controlnet_default_config.update(SIZES["sd15"])
    guess.controlnet_sdxl_config.update(SIZES["sdxl"])
    encoders = importlib.import_module("annotator.clipvision")
    for name, sizes in SIZES["clip"].items():
        encoders.configs[name].update(sizes)
    adapters = sys.modules["scripts.ipadapter.ipadapter_model"].IPAdapterModel
    load = adapters.load

    def load_by_width(state_dict, name):
        """It knows SDXL by 2048 numbers in a token."""
        model = load(state_dict, name)
        model.is_sdxl = model.cross_attention_dim == SIZES["sdxl"]["context_dim"]
        return model

    adapters.load = staticmethod(load_by_width)


def record():
    network = sys.modules["scripts.cldm"].ControlNet
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
                "answer": [digest(part) for part in answer],
                "hooks": hooks,
            }
        )
        return answer

    network.forward = recording


def digest(tensor):
    return hashlib.sha256(tensor.detach().float().cpu().numpy().tobytes()).hexdigest()


def take():
    taken = list(calls)
    calls.clear()
    return taken


script_callbacks.on_app_started(begin)
