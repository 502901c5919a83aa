"""The model files that a click on the page downloads: where they are published, how to know them.

Sizes and hashes are those that the publishers' own lists give for these revisions. The addresses
name a revision, so what is behind them never changes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

HUB = "https://huggingface.co"
_IP_ADAPTER = f"{HUB}/h94/IP-Adapter/resolve/018e402774aeeddd60609b4ecdb7e298259dc729"
_LAION_H = (
    f"{HUB}/laion/CLIP-ViT-H-14-laion2B-s32B-b79K/resolve/1c2b8495b28150b8a4922ee1c8edee224c284c0c"
)


@dataclass(frozen=True)
class PublishedFile:
    """One file, and what it has to be when it has arrived."""

    name: str  # in our own folder
    title: str  # what it is for
    url: str
    size: int  # bytes
    sha256: str
    licence: str
    layout: str = ""  # of an adapter: the id of its layout
    # Numbers of an image vector, and of a hidden state: what an encoder makes, or an adapter takes.
    vectors: int = 0
    hidden: int = 0
    has_text: bool = False  # holds the text encoder too


PUBLISHED_FILES = (
    PublishedFile(
        "ip-adapter_sdxl.safetensors",
        "IP-Adapter for SDXL, the one to start with; needs ViT-bigG/14",
        f"{_IP_ADAPTER}/sdxl_models/ip-adapter_sdxl.safetensors",
        702_585_376,
        "ba1002529e783604c5f326d49f0122025392d1d20ac8d573b3eeb3e6dea4ebb6",
        "Apache-2.0",
        layout="sdxl",
        vectors=1280,
    ),
    PublishedFile(
        "ip-adapter_sdxl_vit-h.safetensors",
        "IP-Adapter for SDXL; needs ViT-H/14",
        f"{_IP_ADAPTER}/sdxl_models/ip-adapter_sdxl_vit-h.safetensors",
        698_391_064,
        "ebf05d918348aec7abb02a5e9ecef77e0aaea6914a5c4ea13f50d45eb1681831",
        "Apache-2.0",
        layout="sdxl",
        vectors=1024,
    ),
    PublishedFile(
        "ip-adapter-plus_sdxl_vit-h.safetensors",
        "IP-Adapter plus for SDXL: nearer to the reference; needs ViT-H/14",
        f"{_IP_ADAPTER}/sdxl_models/ip-adapter-plus_sdxl_vit-h.safetensors",
        847_517_512,
        "3f5062b8400c94b7159665b21ba5c62acdcd7682262743d7f2aefedef00e6581",
        "Apache-2.0",
        layout="sdxl",
        hidden=1280,
    ),
    PublishedFile(
        "ip-adapter_sd15.safetensors",
        "IP-Adapter for SD1.5, the one to start with; needs ViT-H/14",
        f"{_IP_ADAPTER}/models/ip-adapter_sd15.safetensors",
        44_642_768,
        "289b45f16d043d0bf542e45831f971dcdaabe18b656f11e86d9dfba7e9ee3369",
        "Apache-2.0",
        layout="sd15",
        vectors=1024,
    ),
    PublishedFile(
        "ip-adapter-plus_sd15.safetensors",
        "IP-Adapter plus for SD1.5: nearer to the reference; needs ViT-H/14",
        f"{_IP_ADAPTER}/models/ip-adapter-plus_sd15.safetensors",
        98_183_288,
        "a1c250be40455cc61a43da1201ec3f1edaea71214865fb47f57927e06cbe4996",
        "Apache-2.0",
        layout="sd15",
        hidden=1280,
    ),
    PublishedFile(
        "CLIP-ViT-bigG-14-laion2B-39B-b160k.safetensors",
        "Image encoder ViT-bigG/14",
        f"{_IP_ADAPTER}/sdxl_models/image_encoder/model.safetensors",
        3_689_912_664,
        "657723e09f46a7c3957df651601029f66b1748afb12b419816330f16ed45d64d",
        "Apache-2.0",
        vectors=1280,
        hidden=1664,
    ),
    PublishedFile(
        "CLIP-ViT-H-14-laion2B-s32B-b79K.safetensors",
        "Image encoder ViT-H/14",
        f"{_IP_ADAPTER}/models/image_encoder/model.safetensors",
        2_528_373_448,
        "6ca9667da1ca9e0b0f75e46bb030f7e011f44f86cbfb8d5a36590fcd7507b030",
        "Apache-2.0",
        vectors=1024,
        hidden=1280,
    ),
    PublishedFile(
        "open_clip-ViT-H-14-laion2B-s32B-b79K.safetensors",
        "ViT-H/14 with its text encoder, for taking out content; serves as image encoder too",
        f"{_LAION_H}/open_clip_model.safetensors",
        3_944_517_836,
        "0084e75319a50ad85ef45377bad5bc38f2f58824459eb690048d51c9f8863be5",
        "MIT",
        vectors=1024,
        hidden=1280,
        has_text=True,
    ),
)


def size_of(name: str) -> int:
    """The bytes of the published file `name`."""
    return next(file.size for file in PUBLISHED_FILES if file.name == name)


def adapter_for(layout: str) -> PublishedFile | None:
    """The adapter to start with for the layout of this id."""
    return next((file for file in PUBLISHED_FILES if file.layout == layout), None)


def encoders_with(vectors: int = 0, hidden: int = 0, has_text: bool = False) -> list[str]:
    """The name of the smallest image encoder that makes vectors, or hidden states, of this width.

    has_text: with its text encoder. Empty if none is published.
    """
    found = [
        file
        for file in PUBLISHED_FILES
        if not file.layout
        and (file.vectors == vectors if vectors else file.hidden == hidden)
        and (file.has_text or not has_text)
    ]
    return [file.name for file in sorted(found, key=lambda file: file.size)[:1]]


def address(file: PublishedFile) -> str:
    """Where `file` is asked for: HF_ENDPOINT names a mirror, as for Hugging Face's own tools."""
    mirror = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/")
    return file.url.replace(HUB, mirror, 1) if mirror else file.url


def size_in_words(count: int) -> str:
    """Bytes for people, in the units that publishers use."""
    if count < 10**6:
        return f"{count / 10**3:.0f} kB"
    return f"{count / 10**6:,.0f} MB" if count < 10**9 else f"{count / 10**9:.2f} GB"
