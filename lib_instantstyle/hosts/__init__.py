"""The WebUIs: the only code that imports `modules`. Engine and page see the `Host` protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # with the extension off, nothing of ours may import torch
    import torch
    from torch import nn


class Host(Protocol):
    """What differs between WebUIs."""

    def unet(self, p: Any) -> nn.Module:
        """The UNet that the generation `p` samples with, looked up now."""

    def device(self) -> torch.device:
        """Where to run the image encoder."""

    def encoder_dtype(self) -> torch.dtype:
        """In which precision to run it."""

    def keeps_encoder(self) -> bool:
        """Whether the user wants the image encoder to stay in memory."""

    def crops_folder(self) -> Path | None:
        """Where to save what the encoder sees of references; None if the user does not want it."""

    def text_vector(self, p: Any, text: str) -> torch.Tensor | None:
        """The vector [E] of `text` by the loaded text encoder (see text.py); None if it has none.

        Raises InstantStyleError if the text is too long.
        """

    def interrupted(self) -> bool:
        """Whether the user interrupted or skipped the generation under way."""

    def download(self, url: str) -> Any:
        """The picture (PIL) behind a URL, if the WebUI's settings allow it."""


def current(p: Any) -> Host:
    """The WebUI that makes the generation `p`, told by what its checkpoint object can do."""
    if hasattr(p.sd_model, "forge_objects"):
        from lib_instantstyle.hosts.forge import Forge

        return Forge()
    from lib_instantstyle.hosts.a1111 import A1111

    return A1111()


def model_folders() -> Sequence[Path]:
    """Folders to look for adapters and encoders in, best first; some may not exist."""
    from lib_instantstyle.hosts.folders import model_folders

    return model_folders()
