"""Regions of masks, for inpainting at full resolution."""

from __future__ import annotations

from PIL import Image, ImageFilter, ImageOps

Box = tuple[int, int, int, int]


def get_crop_region_v2(mask, pad: int = 0) -> Box | None:
    """The box around what is not black, or None for an empty mask."""
    mask = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    box = mask.getbbox()
    if box is None:
        return None
    x1, y1, x2, y2 = box
    return max(x1 - pad, 0), max(y1 - pad, 0), min(x2 + pad, mask.width), min(y2 + pad, mask.height)


def get_crop_region(mask, pad: int = 0) -> Box:
    mask = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
    box = get_crop_region_v2(mask, pad)
    if box is not None:
        return box
    return (
        max(mask.width - pad, 0),
        max(mask.height - pad, 0),
        min(pad, mask.width),
        min(pad, mask.height),
    )


def _widen(low: int, high: int, wanted: int, limit: int) -> tuple[int, int]:
    """low..high grown to `wanted`, moved to stay inside 0..limit, then cut to it."""
    missing = wanted - (high - low)
    low, high = low - missing // 2, high + missing - missing // 2
    if high >= limit:
        low, high = low - (high - limit), limit
    if low < 0:
        low, high = 0, high - low
    return low, min(high, limit)


def expand_crop_region(
    crop_region: Box,
    processing_width: int,
    processing_height: int,
    image_width: int,
    image_height: int,
) -> Box:
    """The region grown to the ratio in which it will be processed."""
    x1, y1, x2, y2 = crop_region
    ratio = processing_width / processing_height
    if (x2 - x1) / (y2 - y1) > ratio:
        y1, y2 = _widen(y1, y2, int((x2 - x1) / ratio), image_height)
    else:
        x1, x2 = _widen(x1, x2, int((y2 - y1) * ratio), image_width)
    return x1, y1, x2, y2


def fill(image: Image.Image, mask: Image.Image) -> Image.Image:
    """The masked part painted over with blurred colours from around it."""
    kept = Image.new("RGBa", image.size)
    kept.paste(image.convert("RGBA").convert("RGBa"), mask=ImageOps.invert(mask.convert("L")))
    result = Image.new("RGBA", image.size)
    for radius, repeats in ((256, 1), (64, 1), (16, 2), (4, 4), (2, 2), (0, 1)):
        blurred = kept.filter(ImageFilter.GaussianBlur(radius)).convert("RGBA")
        for _ in range(repeats):
            result.alpha_composite(blurred)
    return result.convert("RGB")
