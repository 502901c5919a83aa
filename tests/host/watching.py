"""What stands on the UNet and what it is called with, seen from the tests."""

from __future__ import annotations

from tests.miniature.recorder import unet_of

KINDS = {"c": 0, "u": 1}  # ours of the recorder's rows: of the prompt, of the negative prompt


def hooks_on(model):
    """Our hooks on a checkpoint; where it is no module itself, as in Forge, on its UNet."""
    modules = model if hasattr(model, "named_modules") else unet_of(model)
    return [
        name
        for name, module in modules.named_modules()
        for kind in ("_forward_hooks", "_forward_pre_hooks")
        for hook in getattr(module, kind).values()
        if "lib_instantstyle" in getattr(hook, "__module__", "")
    ]


def watch_hooks(monkeypatch):
    """Collect the hooks that stand on the UNet while it is called."""
    from tests.miniature.networks import UNetModel

    seen = []
    forward = UNetModel.forward

    def spy(self, *args, **kwargs):
        seen.append(len(hooks_on(self)))
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(UNetModel, "forward", spy)
    return seen


class Calls:
    """The rows of each UNet call."""

    def __init__(self, webui):
        self.unet = webui.unet
        self.rows = []

    def __enter__(self):
        note = lambda module, args, kwargs: self.rows.append(len(args[0]))  # noqa: E731
        self.handle = self.unet.register_forward_pre_hook(note, with_kwargs=True)
        return self.rows

    def __exit__(self, *_):
        self.handle.remove()


class Watching:
    """The WebUI's state at every UNet call, and something to do at one of them."""

    def __init__(self, webui, at=None, do=None):
        self.webui, self.at, self.do = webui, at, do
        self.seen = []

    def __call__(self, module, args, kwargs):
        state = self.webui.shared.state
        self.seen.append((state.textinfo, state.sampling_step, state.sampling_steps))
        if len(self.seen) - 1 == self.at:
            self.do()

    def __enter__(self):
        self.handle = self.webui.unet.register_forward_pre_hook(self, with_kwargs=True)
        return self

    def __exit__(self, *_):
        self.handle.remove()
