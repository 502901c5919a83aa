"""Pictures as text, in both directions."""

from __future__ import annotations

import base64
import io
import ipaddress
import socket
from urllib.parse import urlparse

import requests
from fastapi.exceptions import HTTPException
from modules import images
from modules.shared import opts
from PIL import Image, PngImagePlugin


def verify_url(url: str) -> bool:
    """Whether every address of the host is a public one."""
    try:
        addresses = socket.gethostbyname_ex(urlparse(url).netloc)[2]
        return all(ipaddress.ip_address(x).is_global for x in addresses)
    except Exception:
        return False


def decode_base64_to_image(encoding: str) -> Image.Image:
    """base64, a data URL, or the address of a picture where settings allow it."""
    if encoding.startswith(("http://", "https://")):
        if not opts.api_enable_requests:
            raise HTTPException(status_code=500, detail="Requests not allowed")
        if opts.api_forbid_local_requests and not verify_url(encoding):
            raise HTTPException(status_code=500, detail="Request to local resource not allowed")
        headers = {"user-agent": opts.api_useragent} if opts.api_useragent else {}
        response = requests.get(encoding, timeout=30, headers=headers)
        try:
            return images.read(io.BytesIO(response.content))
        except Exception as e:
            raise HTTPException(status_code=500, detail="Invalid image url") from e
    if encoding.startswith("data:image/"):
        encoding = encoding.split(";")[1].split(",")[1]
    try:
        return images.read(io.BytesIO(base64.b64decode(encoding)))
    except Exception as e:
        raise HTTPException(status_code=500, detail="Invalid encoded image") from e


def encode_pil_to_base64(image) -> bytes | str:
    if isinstance(image, str):
        return image
    buffer = io.BytesIO()
    fmt = opts.samples_format.lower()
    if fmt == "png":
        chunks = PngImagePlugin.PngInfo()
        for key, value in image.info.items():
            if isinstance(key, str) and isinstance(value, str):
                chunks.add_text(key, value)
        image.save(buffer, format="PNG", pnginfo=chunks)
    elif fmt in ("jpg", "jpeg", "webp"):
        name = "WEBP" if fmt == "webp" else "JPEG"
        image.convert("RGB").save(buffer, format=name, quality=opts.jpeg_quality)
    else:
        raise HTTPException(status_code=500, detail="Invalid image format")
    return base64.b64encode(buffer.getvalue())
