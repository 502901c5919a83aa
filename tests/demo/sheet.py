"""Pictures side by side, each with a caption."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SIDE, MARGIN, LINE = 256, 16, 20


def _font(size: int) -> ImageFont.ImageFont:
    try:
        import matplotlib as mpl  # comes with Gradio 3, and brings a font that is always there

        path = Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
        return ImageFont.truetype(str(path), size)
    except (ImportError, OSError):
        return ImageFont.load_default()


def make_sheet(pictures: list[tuple[str, Image.Image]], footer: list[str]) -> Image.Image:
    """One row of `pictures` with captions (lines split by a newline), and `footer` under it."""
    lines = max(caption.count("\n") + 1 for caption, _ in pictures)
    width = MARGIN + len(pictures) * (SIDE + MARGIN)
    height = MARGIN + SIDE + MARGIN + lines * LINE + MARGIN + len(footer) * LINE + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, (caption, picture) in enumerate(pictures):
        left = MARGIN + i * (SIDE + MARGIN)
        fitted = picture.convert("RGB")
        fitted.thumbnail((SIDE, SIDE))
        sheet.paste(fitted, (left + (SIDE - fitted.width) // 2, MARGIN))
        draw.multiline_text(
            (left, MARGIN + SIDE + MARGIN // 2), caption, fill="black", font=_font(14), spacing=4
        )
    top = height - MARGIN - len(footer) * LINE
    for i, line in enumerate(footer):
        draw.text((MARGIN, top + i * LINE), line, fill="#555555", font=_font(13))
    return sheet
