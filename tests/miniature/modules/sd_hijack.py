"""What A1111 changes in a loaded model: the attention function and the UNet's `forward`."""

from __future__ import annotations

import torch
from modules import errors, patches, script_callbacks, sd_hijack_optimizations, sd_unet, shared

from tests.miniature.networks import unet as networks_unet
from tests.miniature.networks.unet import UNetModel

optimizers: list[sd_hijack_optimizations.SdOptimization] = []
current_optimizer: sd_hijack_optimizations.SdOptimization | None = None


class TorchForUnet:
    """Lets the UNet join feature maps that differ by a pixel, so sizes may be multiples of 8."""

    def __getattr__(self, name: str):
        return getattr(torch, name)

    def cat(self, tensors, *args, **kwargs):
        if len(tensors) == 2 and tensors[0].shape[-2:] != tensors[1].shape[-2:]:
            a, b = tensors
            a = torch.nn.functional.interpolate(a, b.shape[-2:], mode="nearest")
            tensors = (a, b)
        return torch.cat(tensors, *args, **kwargs)


networks_unet.torch = TorchForUnet()
_original_unet_forward = patches.patch(
    __file__, UNetModel, "forward", sd_unet.create_unet_forward(UNetModel.forward)
)


def list_optimizers() -> None:
    found = [x for x in script_callbacks.list_optimizers_callback() if x.is_available()]
    optimizers[:] = sorted(found, key=lambda x: x.priority, reverse=True)


def apply_optimizations(option: str | None = None) -> str:
    global current_optimizer
    undo_optimizations()
    if current_optimizer is not None:
        current_optimizer.undo()
        current_optimizer = None
    choice = option or shared.opts.cross_attention_optimization
    current_optimizer = sd_hijack_optimizations.selected(optimizers, choice)
    if current_optimizer is None:
        return ""
    current_optimizer.apply()
    return current_optimizer.name


def undo_optimizations() -> None:
    sd_hijack_optimizations.SdOptimization().undo()


class EmbeddingDatabase:
    """Textual inversions: none."""

    def __init__(self) -> None:
        self.word_embeddings: dict = {}
        self.skipped_embeddings: dict = {}

    def load_textual_inversion_embeddings(self, force_reload: bool = False) -> None:
        pass


class StableDiffusionModelHijack:
    fixes = None
    layers = None
    circular_enabled = False
    clip = None
    optimization_method = None

    def __init__(self) -> None:
        self.extra_generation_params: dict = {}
        self.comments: list[str] = []
        self.embedding_db = EmbeddingDatabase()

    def apply_optimizations(self, option: str | None = None) -> None:
        try:
            self.optimization_method = apply_optimizations(option)
        except Exception as e:
            errors.display(e, "applying cross attention optimization")
            undo_optimizations()

    def hijack(self, m) -> None:
        self.apply_optimizations()
        self.clip = m.cond_stage_model
        self.layers = list(m.modules())

    def undo_hijack(self, m) -> None:
        undo_optimizations()
        self.layers = None
        self.clip = None

    def apply_circular(self, enable: bool) -> None:
        self.circular_enabled = enable

    def clear_comments(self) -> None:
        self.comments = []
        self.extra_generation_params = {}

    def get_prompt_lengths(self, text: str):
        if self.clip is None:
            return "-", "-"
        count = self.clip.token_count(text)
        return count, self.clip.get_target_prompt_token_count(count)

    def redo_hijack(self, m) -> None:
        self.undo_hijack(m)
        self.hijack(m)


model_hijack = StableDiffusionModelHijack()
