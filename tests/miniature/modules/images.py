"""Reading, resizing and saving pictures, with the infotext in the PNG's `parameters` chunk."""

from __future__ import annotations

import datetime
import io
import math
import re
from pathlib import Path

from modules import script_callbacks, shared
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin

LANCZOS = Image.Resampling.LANCZOS
IGNORED_INFO_KEYS = {
    "jfif",
    "jfif_version",
    "jfif_unit",
    "jfif_density",
    "dpi",
    "exif",
    "loop",
    "background",
    "timestamp",
    "duration",
    "progressive",
    "progression",
    "icc_profile",
    "chromaticity",
}


def image_grid(imgs: list[Image.Image], batch_size: int = 1, rows: int | None = None):
    if rows is None:
        wanted = shared.opts.n_rows
        rows = wanted if wanted > 0 else batch_size if wanted == 0 else round(math.sqrt(len(imgs)))
    rows = max(1, min(int(rows), len(imgs)))
    params = script_callbacks.ImageGridLoopParams(imgs, math.ceil(len(imgs) / rows), rows)
    script_callbacks.image_grid_callback(params)
    w, h = (max(x) for x in zip(*(img.size for img in imgs), strict=True))
    grid = Image.new("RGB", (params.cols * w, params.rows * h), "white")
    for i, img in enumerate(params.imgs):
        grid.paste(img, box=(i % params.cols * w, i // params.cols * h))
    return grid


class GridAnnotation:
    def __init__(self, text: str = "", is_active: bool = True) -> None:
        self.text = text
        self.is_active = is_active
        self.size = None


def draw_grid_annotations(im, width, height, hor_texts, ver_texts, margin: int = 0):
    """Titles above the columns and left of the rows, when there are any."""
    pad_top = 14 if any(x.text for column in hor_texts for x in column) else 0
    pad_left = 80 if any(x.text for row in ver_texts for x in row) else 0
    result = Image.new("RGB", (im.width + pad_left, im.height + pad_top), "white")
    result.paste(im, (pad_left, pad_top))
    draw = ImageDraw.Draw(result)
    for i, texts in enumerate(hor_texts if pad_top else ()):
        draw.text((pad_left + i * width, 1), " ".join(str(x.text) for x in texts), fill="black")
    for i, texts in enumerate(ver_texts if pad_left else ()):
        draw.text((1, pad_top + i * height), "\n".join(str(x.text) for x in texts), fill="black")
    return result


def _fit(im: Image.Image, width: int, height: int, cover: bool) -> tuple[int, int]:
    wide = width / height > im.width / im.height
    if wide == cover:
        return width, im.height * width // im.width
    return im.width * height // im.height, height


def resize_image(resize_mode: int, im, width: int, height: int, upscaler_name: str | None = None):
    """0 stretch, 1 cover and crop, 2 contain and fill the rest with the edges."""
    upscaler_name = upscaler_name or shared.opts.upscaler_for_img2img

    def resize(w: int, h: int) -> Image.Image:
        if upscaler_name in (None, "None") or im.mode == "L":
            return im.resize((w, h), resample=LANCZOS)
        result, scale = im, max(w / im.width, h / im.height)
        if scale > 1.0:
            by_name = (x for x in shared.sd_upscalers if x.name == upscaler_name)
            upscaler = next(by_name, shared.sd_upscalers[0])
            result = upscaler.scaler.upscale(im, scale, upscaler.data_path)
        return result if result.size == (w, h) else result.resize((w, h), resample=LANCZOS)

    if resize_mode == 0:
        return resize(width, height)
    w, h = _fit(im, width, height, cover=resize_mode == 1)
    resized = resize(w, h)
    left, top = width // 2 - w // 2, height // 2 - h // 2
    result = Image.new("RGB", (width, height))
    result.paste(resized, box=(left, top))
    if resize_mode != 1 and top > 0:
        edge = (width, top)
        result.paste(resized.resize(edge, box=(0, 0, width, 0)), box=(0, 0))
        low = resized.resize(edge, box=(0, resized.height, width, resized.height))
        result.paste(low, box=(0, top + h))
    elif resize_mode != 1 and left > 0:
        edge = (left, height)
        result.paste(resized.resize(edge, box=(0, 0, 0, height)), box=(0, 0))
        right = resized.resize(edge, box=(resized.width, 0, resized.width, height))
        result.paste(right, box=(left + w, 0))
    return result


def sanitize_filename_part(text: str | None, replace_spaces: bool = True) -> str | None:
    if text is None:
        return None
    text = text.replace(" ", "_") if replace_spaces else text
    return re.sub(r'[#<>:"/\\|?*\n\r\t]', "_", text).strip(" .")[:128]


class FilenameGenerator:
    """The patterns that matter for telling files apart; an unknown one stays as it is."""

    def __init__(self, p, seed, prompt, image, zip=False, basename="") -> None:
        self.values = {
            "seed": "" if seed is None else str(seed),
            "prompt": sanitize_filename_part(prompt) or "",
            "prompt_spaces": sanitize_filename_part(prompt, replace_spaces=False) or "",
            "date": datetime.datetime.now().strftime("%Y-%m-%d"),
            "width": str(image.width),
            "height": str(image.height),
            "generation_number": self._generation_number(p),
            "model_name": sanitize_filename_part(getattr(p, "sd_model_name", None)) or "",
        }

    @staticmethod
    def _generation_number(p) -> str:
        if p is None or (getattr(p, "n_iter", 1) == 1 and p.batch_size == 1):
            return ""
        return str(p.iteration * p.batch_size + p.batch_index + 1)

    def apply(self, x: str) -> str:
        return re.sub(r"\[(\w+)\]", lambda m: self.values.get(m[1], m[0]), x)


def get_next_sequence_number(path: str, basename: str) -> int:
    prefix = f"{basename}-" if basename else ""
    found = [
        re.match(r"(\d+)", x.name[len(prefix) :])
        for x in Path(path).iterdir()
        if x.name.startswith(prefix)
    ]
    return max([int(m[1]) for m in found if m], default=-1) + 1


def save_image_with_geninfo(
    image,
    geninfo,
    filename,
    extension=None,
    existing_pnginfo=None,
    pnginfo_section_name="parameters",
) -> None:
    """PNG keeps the text in a chunk of that name; JPEG and WebP in an EXIF comment."""
    extension = (extension or Path(filename).suffix).lower()
    fmt = Image.registered_extensions()[extension]
    if extension == ".png":
        chunks = PngImagePlugin.PngInfo()
        if shared.opts.enable_pnginfo:
            texts = {**(existing_pnginfo or {}), pnginfo_section_name: geninfo}
            for key, value in texts.items():
                chunks.add_text(key, str(value))
        image.save(filename, format=fmt, pnginfo=chunks)
        return
    exif = Image.Exif()
    if shared.opts.enable_pnginfo and geninfo is not None:
        exif[0x9286] = b"UNICODE\0" + geninfo.encode("utf-16-be")
    image.convert("RGB").save(filename, format=fmt, quality=shared.opts.jpeg_quality, exif=exif)


def save_image(
    image,
    path,
    basename,
    seed=None,
    prompt=None,
    extension="png",
    info=None,
    short_filename=False,
    no_prompt=False,
    grid=False,
    pnginfo_section_name="parameters",
    p=None,
    existing_info=None,
    forced_filename=None,
    suffix="",
    save_to_dirs=None,
) -> tuple[str, str | None]:
    """Saves under the next free number. -> (file, text file or None)."""
    opts = shared.opts
    names = FilenameGenerator(p, seed, prompt, image, basename=basename)
    if save_to_dirs is None:
        save_to_dirs = opts.grid_save_to_dirs if grid else opts.save_to_dirs and not no_prompt
    folder = Path(path)
    if save_to_dirs:
        folder /= names.apply(opts.directories_filename_pattern or "[date]").strip()
    folder.mkdir(parents=True, exist_ok=True)

    if forced_filename is not None:
        file = folder / f"{forced_filename}.{extension}"
    else:
        pattern = "[seed]" if opts.save_to_dirs else "[seed]-[prompt_spaces]"
        text = (
            ""
            if short_filename or seed is None
            else names.apply(opts.samples_filename_pattern or pattern)
        )
        text += suffix
        if opts.save_images_add_number or not text:
            text = f"-{text}" if text else ""
            number = get_next_sequence_number(str(folder), basename)
            text = f"{basename}-{number:04}{text}" if basename else f"{number:05}{text}"
        file = folder / f"{text}.{extension}"

    pnginfo = dict(existing_info or {})
    if info is not None:
        pnginfo[pnginfo_section_name] = info
    params = script_callbacks.ImageSaveParams(image, p, str(file), pnginfo)
    script_callbacks.before_image_saved_callback(params)
    image, file = params.image, Path(params.filename)
    info = params.pnginfo.get(pnginfo_section_name)

    if opts.save_images_replace_action != "Replace":
        original, n = file, 0
        while file.exists():
            n += 1
            file = original.with_stem(f"{original.stem}-{n}")
    temporary = file.with_suffix(".tmp")
    save_image_with_geninfo(
        image, info, str(temporary), file.suffix, params.pnginfo, pnginfo_section_name
    )
    temporary.replace(file)
    image.already_saved_as = str(file)

    text_file = None
    if opts.save_txt and info is not None:
        text_file = str(file.with_suffix(".txt"))
        Path(text_file).write_text(info + "\n", encoding="utf8")
    script_callbacks.image_saved_callback(params)
    return str(file), text_file


def read_info_from_image(image: Image.Image) -> tuple[str | None, dict]:
    """(infotext, everything else that is text)."""
    items = dict(image.info or {})
    geninfo = items.pop("parameters", None)
    comment = image.getexif().get(0x9286) if "exif" in items else None
    if isinstance(comment, bytes) and comment.startswith(b"UNICODE\0"):
        geninfo = comment[8:].decode("utf-16-be", errors="ignore")
    return geninfo, {k: v for k, v in items.items() if k not in IGNORED_INFO_KEYS}


def image_data(data: bytes):
    """A file dropped on the prompt: the infotext of a picture, or plain text."""
    import gradio as gr

    try:
        return read_info_from_image(read(io.BytesIO(data)))[0], None
    except Exception:
        text = data.decode("utf8", errors="ignore")
        return (text if 0 < len(text) < 10000 else gr.update()), None


def flatten(img: Image.Image, bgcolor: str) -> Image.Image:
    if img.mode == "RGBA":
        background = Image.new("RGBA", img.size, bgcolor)
        background.paste(img, mask=img)
        img = background
    return img.convert("RGB")


def read(fp, **kwargs) -> Image.Image:
    return fix_image(Image.open(fp, **kwargs))


def fix_image(image: Image.Image | None) -> Image.Image | None:
    return None if image is None else fix_png_transparency(ImageOps.exif_transpose(image))


def fix_png_transparency(image: Image.Image) -> Image.Image:
    if image.mode in ("RGB", "P") and isinstance(image.info.get("transparency"), bytes):
        return image.convert("RGBA")
    return image
