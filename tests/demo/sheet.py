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


Cell = tuple[str, Image.Image]


def make_sheet(table: list[list[Cell]], footer: list[str]) -> Image.Image:
    """Rows of pictures with captions (lines split by a newline), and `footer` under them."""
    lines = max(caption.count("\n") + 1 for cells in table for caption, _ in cells)
    row_height = SIDE + MARGIN + lines * LINE + MARGIN // 2
    width = MARGIN + max(map(len, table)) * (SIDE + MARGIN)
    height = MARGIN + len(table) * row_height + MARGIN + len(footer) * LINE + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for row, cells in enumerate(table):
        for column, (caption, picture) in enumerate(cells):
            left, top = MARGIN + column * (SIDE + MARGIN), MARGIN + row * row_height
            fitted = picture.convert("RGB")
            fitted.thumbnail((SIDE, SIDE))
            sheet.paste(fitted, (left + (SIDE - fitted.width) // 2, top))
            below = (left, top + SIDE + MARGIN // 2)
            draw.multiline_text(below, caption, fill="black", font=_font(14), spacing=4)
    top = height - MARGIN - len(footer) * LINE
    for i, line in enumerate(footer):
        draw.text((MARGIN, top + i * LINE), line, fill="#555555", font=_font(13))
    return sheet
