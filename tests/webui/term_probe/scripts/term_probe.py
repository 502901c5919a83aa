"""Records what reaches the end of each cross-attention in the first UNet call of a generation.

Asked for by `{"Term probe": {"args": [true]}}`. GET /term-probe answers with a .safetensors of the
last recording: `NAME.before` and `NAME.after` the extension's hook, NAME being the layer's path in
the UNet, and the UNet's own `x`, `timesteps` and `context`; prompt rows before negative ones.
"""

import gradio as gr
import torch
from fastapi import Response
from modules import script_callbacks, scripts
from safetensors.torch import save

recorded = {}


class TermProbe(scripts.Script):
    def __init__(self):
        self.handles = []

    def title(self):
        return "Term probe"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        return [gr.Checkbox(value=False, visible=False, label="Record")]

    def process_before_every_sampling(self, p, record=False, *args, **kwargs):
        self.stop()
        if not record or getattr(p, "is_hr_pass", False):
            return
        from lib_instantstyle import hosts
        from lib_instantstyle.hosts.live import in_generation

        recorded.clear()
        with in_generation():
            unet = hosts.current(p).unet(p)
        self.handles.append(unet.register_forward_pre_hook(see_call, with_kwargs=True))
        for name, module in unet.named_modules():
            if name.endswith("attn2"):
                self.watch(name, module.to_out[0])

    def watch(self, name, projection):
        """The extension's hook comes later, when the sampler starts, so it is between these."""

        def before(module, args):
            keep(f"{name}.before", args[0])

        def after(module, args, output):
            keep(f"{name}.after", args[0])

        self.handles.append(projection.register_forward_pre_hook(before))
        self.handles.append(projection.register_forward_hook(after))

    def postprocess(self, p, processed, *args):
        self.stop()

    def stop(self):
        for handle in self.handles:
            handle.remove()
        self.handles.clear()


def see_call(unet, args, kwargs):
    named = {**dict(zip(("x", "timesteps", "context"), args)), **kwargs}
    if "order" not in recorded:
        rows = len(named["x"])
        chunks = (named.get("transformer_options") or {}).get("cond_or_uncond") or [0, 1]
        kinds = [kind for kind in chunks for _ in range(rows // len(chunks))]
        recorded["order"] = torch.tensor(sorted(range(rows), key=kinds.__getitem__))
    for name in ("x", "timesteps", "context"):
        keep(name, named[name])


def keep(name, tensor):
    if name not in recorded:
        copy = tensor.detach().float().cpu()
        order = recorded["order"]
        recorded[name] = copy[order].clone() if len(copy) == len(order) else copy.clone()


def answer():
    return Response(save(dict(recorded)), media_type="application/octet-stream")


script_callbacks.on_app_started(lambda demo, app: app.add_api_route("/term-probe", answer))
