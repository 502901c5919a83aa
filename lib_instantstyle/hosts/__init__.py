"""The WebUIs: the only room that imports `modules`. Others use the `Host` protocol."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # with the extension off, nothing of ours may import torch
    import torch
    from torch import nn

    from lib_instantstyle.clip.device_memory import Entry
    from lib_instantstyle.files.own_files import BoundedFolder
    from lib_instantstyle.hosts.diffusion import Diffusion


class TextEmbedder(Protocol):
    """Texts to vectors in the space of an image encoder."""

    @property
    def title(self) -> str:
        """Its name in sentences for the user."""

    @property
    def identity(self) -> str:
        """A text that changes whenever the weights may have changed."""

    @property
    def width(self) -> int:
        """E, how many numbers a vector has."""

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> torch.Tensor:
        """Vectors [n, E] of `texts`, float32, on the CPU, not normalised to length 1.

        progress: called with the number of texts encoded so far. Raises InstantStyleError if a
        text has more than 75 tokens.
        """


class Host(Protocol):
    """What differs between WebUIs. p: a generation, or what stands for one."""

    def unet(self, p: Any) -> nn.Module:
        """The UNet that `p` samples with now."""

    def is_compiled(self, p: Any) -> bool:
        """Whether torch.compile has changed the UNet of `p`."""

    def device(self) -> torch.device:
        """The device to run encoders on."""

    def encoder_dtype(self) -> torch.dtype:
        """The precision to run encoders in."""

    def make_room(self, size: int) -> None:
        """Free `size` bytes on the device for an encoder that is loaded next."""

    def enter(self, encoder: nn.Module, device: torch.device) -> Entry:
        """Register `encoder`, just loaded on `device`, with the WebUI's memory management."""

    def load_unet(self, p: Any) -> None:
        """Move the UNet of `p` back to its device, if it was moved off for an encoder."""

    def cache_folder(self) -> Path:
        """Our folder for files that can be computed again."""

    def embeddings_folder(self) -> BoundedFolder | None:
        """The folder for image embeds; None if the user has switched it off."""

    def reference_folder(self) -> BoundedFolder | None:
        """The folder for reference pictures; None if the user has switched it off."""

    def keeps_encoder(self) -> bool:
        """Whether the user has chosen to keep the image encoder in memory."""

    def crops_folder(self) -> Path | None:
        """The folder for crops of references; None if the user has not switched it on."""

    def text_encoder(self, p: Any) -> TextEmbedder | None:
        """The checkpoint's text encoder, if its vectors lie in the space of image vectors."""

    def token_ids(self, p: Any, texts: Sequence[str]) -> list[list[int]] | None:
        """CLIP's token ids of each text, without start and end; None if there is no tokenizer."""

    def interrupted(self) -> bool:
        """Whether the user has interrupted or skipped the running generation."""

    def is_hires_pass(self, p: Any) -> bool:
        """Whether `p` is in hires fix's second pass."""

    def cfg_scale(self, p: Any) -> float | None:
        """The CFG scale of the pass that `p` is in; None if unknown."""

    def region(self, p: Any) -> tuple[float, float, float, float] | None:
        """The sampled part of the picture (inpainting "only masked"); None for all of it.

        Left, top, right and bottom, as shares of the picture. Known once sampling begins.
        """

    def fetch(self, url: str, limit: int, label: str) -> bytes:
        """The content of `url`, up to `limit` bytes, if the WebUI's settings allow it.

        label: the name of the field in errors. Raises InstantStyleError.
        """

    def diffusion(self, p: Any) -> Diffusion:
        """The checkpoint of `p` for use outside its sampling: VAE, empty prompt, UNet."""


def current(p: Any) -> Host:
    """The WebUI of `p`, recognised by the attributes of its checkpoint object.

    p: None where no checkpoint matters; the answer then serves for what all WebUIs share.
    """
    if hasattr(getattr(p, "sd_model", None), "forge_objects"):
        from lib_instantstyle.hosts.forge import Forge

        return Forge()
    from lib_instantstyle.hosts.a1111 import A1111

    return A1111()


@dataclass(frozen=True)
class LoadedCheckpoint:
    """Takes the place of `p` where there is no generation; hosts read its `sd_model` alone."""

    sd_model: Any


def loaded_checkpoint() -> LoadedCheckpoint:
    """The loaded checkpoint; Forge loads it now. Raises InstantStyleError if there is none."""
    from lib_instantstyle.hosts.checkpoint import loaded_model

    return LoadedCheckpoint(loaded_model())


def model_folders() -> Sequence[Path]:
    """The folders of adapters and encoders, in order of preference; some may not exist."""
    from lib_instantstyle.hosts.folders import model_folders

    return model_folders()


def lora_folders() -> Sequence[Path]:
    """The WebUI's own folders of LoRAs; some may not exist."""
    from lib_instantstyle.hosts.folders import lora_folders

    return lora_folders()


def own_folder() -> Path:
    """The only folder that is ever written to."""
    from lib_instantstyle.hosts.folders import own_folder

    return own_folder()


def reference_folder() -> BoundedFolder | None:
    """The folder for reference pictures; None if the user has switched it off."""
    from lib_instantstyle.hosts.folders import reference_folder

    return reference_folder()
