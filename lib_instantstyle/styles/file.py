"""Saved styles: the image embeds of references, for any adapter made for their image encoder.

Both image vectors and hidden states are stored, so that a style made with a linear adapter also
serves plus adapters, and those for negative-prompt rows, so that no encoder is needed at all. Image
vectors have 32 bits (5 kB for ViT-bigG), hidden states 16, which loses nothing if the encoder ran
in 16 bits. One reference takes 1.1 MB with ViT-L, 1.3 MB with ViT-H and 1.7 MB with ViT-bigG; each
further one takes half of that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save

from lib_instantstyle.clip.image_encoder import class_embedding
from lib_instantstyle.errors import InstantStyleError, reason
from lib_instantstyle.files.own_files import write_file
from lib_instantstyle.files.tensors import open_tensors
from lib_instantstyle.models.catalog import ImageEncoderFile
from lib_instantstyle.styles.header import (
    FINGERPRINT,
    HIDDEN,
    VECTORS,
    StyleInfo,
    metadata_of,
    read_info,
    shapes_of,
)

# Of the class embedding's length. Rounding to bfloat16 moves it by 0.002, training by far more.
_TOLERANCE = 0.01
_SMALLEST_SINE = 1e-4  # below it the arc is a straight line


@dataclass(frozen=True)
class Style:
    """A saved style of n references; tensors in float32 on the CPU.

    The last row of vectors and hidden is for negative-prompt rows.
    """

    info: StyleInfo
    vectors: torch.Tensor | None  # [n + 1, E]
    hidden: torch.Tensor  # [n + 1, N, W]
    fingerprint: torch.Tensor  # [W], the image encoder's class embedding

    def features(self, hidden_states: bool) -> torch.Tensor:
        """The image embeds, [n + 1, N, W] or [n + 1, E]; see ImageEmbeds.features."""
        if hidden_states:
            return self.hidden
        if self.vectors is None:
            raise ValueError("the encoder of this style makes no image vectors")
        return self.vectors

    def is_like(self, other: Style) -> bool:
        """Whether both were made with one image encoder, as far as `is_by` can tell."""
        mine, others = self.info.kind, other.info.kind
        return mine == others and _are_near(other.fingerprint, self.fingerprint)

    def towards(self, other: Style, share: float) -> Style:
        """The style on the way to `other`, which is like it and of as many references."""
        if share == 1:
            return other
        pairs = zip(self.info.weights, other.info.weights, strict=True)
        weights = tuple(a + share * (b - a) for a, b in pairs)
        vectors = None
        if self.vectors is not None and other.vectors is not None:
            vectors = slerp(self.vectors, other.vectors, share)
        info = replace(self.info, weights=weights)
        return Style(info, vectors, slerp(self.hidden, other.hidden, share), self.fingerprint)

    def is_by(self, image_encoder: ImageEncoderFile) -> bool:
        """Whether it was made with `image_encoder`, in whatever format or precision.

        Told by the class embedding, which every format has and training changes.
        """
        if image_encoder.kind.width != self.info.kind.width:
            return False
        found = class_embedding(image_encoder.path, image_encoder.kind).float()
        return _are_near(found, self.fingerprint)


def _are_near(found: torch.Tensor, fingerprint: torch.Tensor) -> bool:
    if found.shape != fingerprint.shape:
        return False
    distance = torch.linalg.vector_norm(found - fingerprint)
    return bool(distance <= _TOLERANCE * torch.linalg.vector_norm(fingerprint))


def slerp(a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
    """Vectors [..., W] on the arc from `a` to `b`: sin((1-t) w) / sin w a + sin(t w) / sin w b.

    w: the angle between the two. Where it is 0 or half a turn, or a vector is 0, the straight line
    is taken. Source: Shoemake, SIGGRAPH 1985.
    """
    angle = torch.nn.functional.cosine_similarity(a.double(), b.double(), dim=-1)
    angle = angle.clamp(-1, 1).acos()[..., None]
    sine = angle.sin()
    straight = (sine < _SMALLEST_SINE) | ~((a != 0).any(-1) & (b != 0).any(-1))[..., None]
    sine = torch.where(straight, torch.ones_like(sine), sine)
    of_a = torch.where(straight, 1 - share, ((1 - share) * angle).sin() / sine)
    of_b = torch.where(straight, share, (share * angle).sin() / sine)
    return (of_a * a + of_b * b).to(a)


def has_other_encoder(path: Path, image_encoders: Sequence[ImageEncoderFile]) -> bool:
    """Whether none of `image_encoders` made the style file `path`; False if there are none."""
    if not image_encoders:
        return False
    style = read_style(path)
    return not any(style.is_by(image_encoder) for image_encoder in image_encoders)


def write_style(
    path: Path, style: Style, write: Callable[[Path, bytes], None] = write_file
) -> None:
    """Write `style` to `path` with `write`, which by default replaces a file that is there.

    Raises OSError.
    """
    tensors = {HIDDEN: _halved(style.hidden), FINGERPRINT: style.fingerprint.float()}
    if style.vectors is not None:
        tensors[VECTORS] = style.vectors.float()
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write(path, save(contiguous, metadata_of(style.info)))


def read_style(path: Path) -> Style:
    """Read the style file `path`.

    Raises InstantStyleError if it is no style, or damaged.
    """
    try:
        info = read_info(path)
    except OSError as error:
        raise InstantStyleError(f"{path.name} cannot be opened ({reason(error)}).") from error
    if info is None:
        raise InstantStyleError(f"{path.name} is no saved style; choose another file.")
    with open_tensors(path) as read:
        tensors = {name: read(name).float() for name in shapes_of(info)}
    return Style(info, tensors.get(VECTORS), tensors[HIDDEN], tensors[FINGERPRINT])


def _halved(tensor: torch.Tensor) -> torch.Tensor:
    """`tensor` in 16 bits, or in 32 if a number is too large for 16."""
    half = tensor.half()
    return half if bool(torch.isfinite(half).all()) else tensor.float()
