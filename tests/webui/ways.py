"""Every way to make a picture, as fields of a request, and the pictures that they need."""

import base64
import io

from PIL import Image

from tests.webui.client import reference

COFFEE, STARS = reference("coffee.jpg"), reference("deep_field.jpg")
VISIBLE = 0.2  # 8-bit levels that a style must at least change on a tiny model


def encoded(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def left_half(width=64, height=64):
    mask = Image.new("L", (width, height), 0)
    mask.paste(255, (0, 0, width // 2, height))
    return mask


INIT = encoded(Image.open(io.BytesIO(base64.b64decode(STARS))).convert("RGB").resize((64, 64)))
WAYS = {
    "txt2img": {},
    "batch 2 x 2": {"batch_size": 2, "n_iter": 2},
    "hires fix": {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent",
                  "denoising_strength": 0.7, "hr_second_pass_steps": 2,
                  # Forge asks for these two; the others ignore them
                  "hr_cfg": 7, "hr_additional_modules": ["Use same choices"]},
    "img2img": {"mode": "img2img", "init_images": [INIT], "denoising_strength": 0.8},
    "inpaint": {"mode": "img2img", "init_images": [INIT], "mask": encoded(left_half()),
                "denoising_strength": 0.8, "inpainting_fill": 1, "inpaint_full_res": False},
    "only masked": {"mode": "img2img", "init_images": [INIT], "mask": encoded(left_half()),
                    "denoising_strength": 0.8, "inpainting_fill": 1, "inpaint_full_res": True},
    "AND": {"prompt": "a cat AND a dog", "batch_size": 2},
    "long prompt": {"prompt": "a cat, " * 60},
    "long negative": {"negative_prompt": "a cat, " * 60},
    "cfg 1": {"cfg_scale": 1},
    "Heun": {"sampler_name": "Heun"},
    "DDIM": {"sampler_name": "DDIM", "steps": 3},  # it stops before the last
    "DPM++ 2M": {"sampler_name": "DPM++ 2M", "steps": 3},  # its second order is in the middle
    "Euler a": {"sampler_name": "Euler a"},
}  # fmt: skip


def masked(left, width=104, height=72):
    mask = left_half(width, height)
    return encoded(mask if left else mask.point(lambda level: 255 - level))
