"""Upscalers that need no model."""

from __future__ import annotations

from PIL import Image

LANCZOS = Image.Resampling.LANCZOS
NEAREST = Image.Resampling.NEAREST


class Upscaler:
    name: str | None = None
    scale = 1
    resample: Image.Resampling | None = None

    def __init__(self, create_dirs: bool = False) -> None:
        self.scalers = [UpscalerData(self.name, None, self)] if self.name else []

    def do_upscale(self, img: Image.Image, selected_model: str | None = None) -> Image.Image:
        if self.resample is None:
            return img
        size = (int(img.width * self.scale), int(img.height * self.scale))
        return img.resize(size, resample=self.resample)

    def upscale(self, img: Image.Image, scale: float, selected_model: str | None = None):
        """To the next multiple of 8, and then exactly there."""
        self.scale = scale
        wanted = tuple(int((x * scale) // 8 * 8) for x in img.size)
        img = self.do_upscale(img, selected_model)
        return img if img.size == wanted else img.resize(wanted, resample=LANCZOS)


class UpscalerNone(Upscaler):
    name = "None"


class UpscalerLanczos(Upscaler):
    name = "Lanczos"
    resample = LANCZOS


class UpscalerNearest(Upscaler):
    name = "Nearest"
    resample = NEAREST


class UpscalerData:
    def __init__(self, name, path, upscaler=None, scale=4, model=None) -> None:
        self.name = name
        self.data_path = path
        self.local_data_path = path
        self.scaler = upscaler
        self.scale = scale
        self.model = model
