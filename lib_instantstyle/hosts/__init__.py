"""The WebUIs: the only code that imports `modules`. Engine and page see the `Host` protocol."""

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
        """For people."""

    @property
    def identity(self) -> str:
        """Changes whenever the weights may be others."""

    @property
    def width(self) -> int:
        """E, how many numbers a vector has."""

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int], None] | None = None
    ) -> torch.Tensor:
        """Vectors [n, E] of `texts`, float32, on the CPU, not normalised to length 1.

        progress: told now and then how many are done. Raises InstantStyleError if a text has more
        than 75 tokens.
        """


class Host(Protocol):
    """What differs between WebUIs."""

    def unet(self, p: Any) -> nn.Module:
        """The UNet that the generation `p` samples with, looked up now."""

    def device(self) -> torch.device:
        """Where to run the image encoder."""

    def encoder_dtype(self) -> torch.dtype:
        """In which precision to run it."""

    def make_room(self, size: int) -> None:
        """See to it that `size` bytes are free on the device, for an encoder about to be loaded."""

    def enter(self, encoder: nn.Module, device: torch.device) -> Entry:
        """An entry for `encoder`, just loaded on `device`, among what the WebUI may move off it."""

    def load_unet(self, p: Any) -> None:
        """Bring the UNet of `p` back to its device, in case it had to make room."""

    def cache_folder(self) -> Path:
        """A folder of our own for what can be computed again."""

    def embeddings_folder(self) -> BoundedFolder | None:
        """Where embeddings outlive the process; None if the user does not want it."""

    def reference_folder(self) -> BoundedFolder | None:
        """Where reference pictures are kept; None if the user does not want it."""

    def keeps_encoder(self) -> bool:
        """Whether the user wants the image encoder to stay in memory."""

    def crops_folder(self) -> Path | None:
        """Where to save what the encoder sees of references; None if the user does not want it."""

    def text_encoder(self, p: Any) -> TextEmbedder | None:
        """The text encoder of the checkpoint, where its vectors lie in the space of pictures."""

    def token_ids(self, p: Any, texts: Sequence[str]) -> list[list[int]] | None:
        """CLIP's token ids of each text, without start and end; None without CLIP's tokenizer."""

    def interrupted(self) -> bool:
        """Whether the user interrupted or skipped the generation under way."""

    def is_hires_pass(self, p: Any) -> bool:
        """Whether `p` is in hires fix's second pass."""

    def region(self, p: Any) -> tuple[float, float, float, float] | None:
        """The part of the picture that is sampled: left, top, right, bottom as shares of it.

        None for the whole; inpainting "only masked" crops. Known once sampling begins.
        """

    def fetch(self, url: str, limit: int, label: str) -> bytes:
        """What lies behind a URL, if the WebUI's settings allow it; `label` is for errors."""

    def diffusion(self, p: Any) -> Diffusion:
        """The checkpoint of `p` beside its own sampling: pictures encoded, the UNet called."""


def current(p: Any) -> Host:
    """The WebUI that makes the generation `p`, told by what its checkpoint object can do.

    p: None where no checkpoint matters; the answer then serves for what all WebUIs share.
    """
    if hasattr(getattr(p, "sd_model", None), "forge_objects"):
        from lib_instantstyle.hosts.forge import Forge

        return Forge()
    from lib_instantstyle.hosts.a1111 import A1111

    return A1111()


@dataclass(frozen=True)
class LoadedCheckpoint:
    """Stands in for a generation `p` where there is none: hosts read `sd_model` of it alone."""

    sd_model: Any


def loaded_checkpoint() -> LoadedCheckpoint:
    """What the WebUI has loaded; raises InstantStyleError if there is nothing."""
    from lib_instantstyle.hosts.checkpoint import loaded_model

    return LoadedCheckpoint(loaded_model())


def model_folders() -> Sequence[Path]:
    """Folders to look for adapters and encoders in, best first; some may not exist."""
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
    """Where reference pictures are kept for pasting infotext; None if the user does not want it."""
    from lib_instantstyle.hosts.folders import reference_folder

    return reference_folder()
