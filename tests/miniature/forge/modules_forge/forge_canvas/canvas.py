"""ForgeCanvas: HTML with two hidden text boxes, for the picture and for what is drawn on it."""

from __future__ import annotations

import base64
import io
import uuid
from functools import wraps
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.context import Context
from modules import gradio_extensions  # noqa: F401  first: it changes every component
from PIL import Image

canvas_js_root_path = str(Path(__file__).parent)
_script = Path(canvas_js_root_path) / "canvas.js"
canvas_head = f'<script src="file={_script}?{_script.stat().st_mtime}"></script>\n'
PREFIX = "data:image/png;base64,"

canvas_html = """
<div class="forge-container" id="container_forge_mixin">
  <input type="file" id="imageInput_forge_mixin" class="forge-file-upload">
  <div id="imageContainer_forge_mixin" class="forge-image-container">
    <img id="image_forge_mixin" class="forge-image" alt="">
    <canvas id="drawingCanvas_forge_mixin" class="forge-drawing-canvas"></canvas>
  </div>
</div>
"""


class LogicalImage(gr.Textbox):
    """A picture as the text of a data URL."""

    @wraps(gr.Textbox.__init__)
    def __init__(self, *args, numpy: bool = True, **kwargs) -> None:
        self.numpy = numpy
        super().__init__(*args, **kwargs)

    def preprocess(self, payload):
        if not isinstance(payload, str) or not payload.startswith(PREFIX):
            return None
        image = Image.open(io.BytesIO(base64.b64decode(payload.removeprefix(PREFIX))))
        image = image.convert("RGBA")
        return np.array(image) if self.numpy else image

    def postprocess(self, value):
        if value is None:
            return None
        image = Image.fromarray(value) if self.numpy else value
        buffer = io.BytesIO()
        image.convert("RGBA").save(buffer, format="PNG")
        return PREFIX + base64.b64encode(buffer.getvalue()).decode("ascii")

    def get_block_name(self) -> str:
        return "textbox"


class ForgeCanvas:
    def __init__(
        self, no_upload=False, no_scribbles=False, height=512, numpy=False, elem_id=None, **others
    ) -> None:
        self.uuid = "uuid_" + uuid.uuid4().hex
        html = canvas_html.replace("forge_mixin", self.uuid)
        self.block = gr.HTML(html, elem_id=elem_id)
        kwargs = {"visible": False, "numpy": numpy, "elem_id": self.uuid}
        self.foreground = LogicalImage(
            label="foreground", elem_classes=["logical_image_foreground"], **kwargs
        )
        self.background = LogicalImage(
            label="background", elem_classes=["logical_image_background"], **kwargs
        )
        flags = ", ".join(str(bool(x)).lower() for x in (no_upload, no_scribbles))
        Context.root_block.load(
            None, js=f'async ()=>{{new ForgeCanvas("{self.uuid}", {flags}, {height});}}'
        )
