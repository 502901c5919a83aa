"""The requests that are kept, as the program that wrote them put them together."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image, ImageDraw

from tests.miniature.harness import SMALL, to_base64

Request = dict[str, Any]
SIZE = {"width": 48, "height": 48}


def small(picture: Image.Image, longer: int = 48) -> str:
    """A photograph of a few hundred bytes, as a JPEG in base64."""
    picture = picture.convert("RGB")
    picture.thumbnail((longer, longer))
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=50, optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def half(box: tuple[int, int, int, int]) -> str:
    mask = Image.new("L", (32, 32))
    ImageDraw.Draw(mask).rectangle(box, fill=255)
    return to_base64(mask)


def args(*items: Any) -> Request:
    return {"alwayson_scripts": {"InstantStyle": {"args": [*items]}}}


def requests(cup: str, stars: str, positional: list) -> dict[str, Request]:
    """By name, which begins with the family; `positional`: all values of the page, two units on."""
    left, middle = half((0, 0, 15, 31)), half((8, 4, 23, 27))
    text, negative = {"prompt": "a cat"}, {"negative_prompt": "blurry, dark"}
    hires = {"enable_hr": True, "hr_scale": 1.2, "hr_upscaler": "Latent",
             "denoising_strength": 0.7, "width": 40, "height": 40}  # fmt: skip
    batch = {"batch_size": 2, "width": 40, "height": 40}
    over = {"init_images": [stars], "denoising_strength": 1.0, "cfg_scale": 3}
    b_lora = {"method": "b-lora", "lora": "tiny_b-lora_sdxl"}
    numbers = [0, 0, 0, 0.5, 0, 0, 1, 0, 0, 0, 0.25]
    diffusers = {"down": {"block_2": [0.0, 1.0]}, "up": {"block_0": [0.0, 0.8, 0.0]}}
    two = [cup, {"image": stars, "weight": 0.6}]
    sdxl: dict[str, tuple] = {
        "image": ({"image": cup},),
        "data url": ({"image": f"data:image/jpeg;base64,{cup}", "weight": "0.7"},),
        "style and layout": (
            {"image": cup, "preset": "style+layout", "layout_weight": 0.4, "weight": 0.9},
            negative),
        "style precise": ({"image": cup, "preset": "style precise", "boost": 0.6}, negative),
        "layout precise": (
            {"image": stars, "preset": "layout precise", "boost": 1.5, "weight": 0.8}, negative),
        "depth": ({"image": cup, "preset": "depth: ease in-out", "weight": 0.5},),
        "blocks by name": (
            {"image": cup,
             "blocks": "up_blocks.0.attentions.1=1; down_blocks.2.attentions.1=0.5"},),
        "blocks by index": ({"image": cup, "blocks": "6:0.8, 3:0.5; 9:-0.3", "weight": 1.2},),
        "blocks as numbers": ({"image": cup, "blocks": numbers},),
        "blocks as scales": ({"image": cup, "blocks": diffusers},),
        "difference": ({"image": cup, "content": "a cup of coffee", "content_scale": 0.8},),
        "projection": (
            {"image": cup, "content": "a cup | a wooden table", "content_scale": 1.2,
             "content_mode": "projection", "clip_source": "loaded", "preset": "original"},),
        "negative image": (
            {"image": cup, "negative_image": stars, "noise": "gaussian", "noise_strength": 0.7,
             "noise_blur": 2, "negative_weight": 1.5}, negative),
        "reference mask": ({"image": cup, "reference_mask": left, "preset": "original"},),
        "mask": ({"image": cup, "mask": middle, "preset": "original"}, {"width": 64}),
        "tiles": (
            {"image": cup, "crop": "tiles", "sharpening": 0.8, "preset": "original",
             "adapter": "ip-adapter_sdxl_vit-h"},),
        "norm average": ({"image": two, "combine": "norm average", "preset": "original"},),
        "subtract": (
            {"image": [cup, stars], "combine": "subtract",
             "embeds_scaling": "K+mean(V) w/ C penalty", "preset": "original", "weight": 0.6},),
        "plus": (
            {"image": two, "adapter": "ip-adapter-plus_sdxl_vit-h", "preset": "original"},),
        "each": ({"image": [cup, stars], "combine": "each", "preset": "original"}, batch),
        "rising": (
            {"image": cup, "start": 0.2, "end": 0.9, "time_curve": "rising", "preset": "original"},
            {"steps": 4}),
        "hires base": ({"image": cup, "hires_pass": "base", "preset": "original"}, hires),
        "hires second": ({"image": cup, "hires_pass": "hires", "weight": 2}, hires),
        "report": (
            {"image": cup, "report": True, "auto_weight": 0.8, "preset": "style+layout"},),
        "leak meter": ({"image": cup, "leak_meter": True, "content": "a cup"},),
        "units": (
            {"image": cup, "preset": "original", "weight": 0.4, "mask": left}, {"enabled": False},
            {"image": stars, "blocks": "3:0.5; 6:1"}),
        "styleid": ({"image": cup, "method": "styleid"}, over),
        "styleid published": (
            {"image": cup, "method": "styleid", "schedule": "published", "gamma": 0.3, "tau": 1.2,
             "adain": 0.5, "crop": "stretch"}, over),
        "styleid weaker": (
            {"image": cup, "method": "styleid", "gamma": 0.5, "steps_of_inversion": 3},
            {**over, "denoising_strength": 0.6}),
        "stylealigned": (
            {"image": cup, "method": "stylealigned", "shared_norms": True, "shared_scale": 1.2,
             "shared_shift": 0.2, "adain": False},),
        "stylealigned batch": ({"method": "stylealigned"}, batch),
        "swap": ({"image": cup, "method": "swap", "colour_calibration": True},),
        "b-lora": ({**b_lora, "style_strength": 1.5, "lora_scaling": "squared"},),
        "b-lora content": ({**b_lora, "style_strength": 0.3, "content_strength": 1},),
        "method beside": (
            {"image": cup, "method": "stylealigned"}, {"image": stars, "preset": "original"}),
        "saved style": ({"style": "ink", "weight": 0.7},),
        "saved style plus": (
            {"style": "wash", "adapter": "ip-adapter-plus_sdxl_vit-h", "preset": "original"},),
        "tag": ({"prompt": "a cat <instantstyle:ink:0.8>"},),
        "tag with fields": (
            {"image": cup, "weight": 0.5},
            {"prompt": "a <instantstyle:Ink:0.6:preset=layout:end=0.5> cat"}),
        "img2img": ({"image": cup, "preset": "original"}, {**over, "denoising_strength": 0.7}),
    }  # fmt: skip
    sd15: dict[str, tuple] = {
        "image": ({"image": cup},),
        "style and layout": ({"image": cup, "preset": "style+layout", "layout_weight": 1.5},),
        "composition": ({"image": stars, "preset": "style+composition (IPAdapter plus)"},),
        "strong style": (
            {"image": cup, "preset": "strong style", "weight": 0.5, "report": True,
             "leak_meter": True},),
        "style precise": ({"image": stars, "preset": "style precise", "boost": 2}, negative),
        "blocks as text": ({"image": cup, "blocks": "0,0,0,0,.25,1,0,1,1,1,0,0,0,0,0,0"},),
        "plus": (
            {"image": cup, "adapter": "ip-adapter-plus_sd15", "embeds_scaling": "K+V",
             "crop": "pad"},),
        "penalty": (
            {"image": two, "embeds_scaling": "K+V w/ C penalty", "crop": "stretch",
             "preset": "original"}, negative),
        "noise": ({"image": cup, "noise": "shuffle", "noise_strength": 0.9}, negative),
        "falling": (
            {"image": cup, "time_curve": "falling", "end": 0.6, "weight": -0.5}, {"steps": 4}),
        "switched on": (True, {"image": cup, "weight": 0.6}, {"image": stars, "weight": 0.5}),
        "list of units": ({"units": [{"image": cup, "weight": 0.7}, {"image": stars}]},),
        "all off": (False, {"image": cup}),
        "positional": (*positional,),
        "positional img2img": (*positional, over),
        "styleid": ({"image": cup, "method": "styleid", "blocks": "10:1; 11:1"}, over),
        "swap": ({"image": stars, "method": "swap", "steps_of_inversion": 3},),
        "stylealigned": ({"image": stars, "method": "stylealigned"},),
        "saved style": ({"style": "wash"},),
        "saved style plus": ({"style": "wash", "adapter": "ip-adapter-plus_sd15", "weight": 0.5},),
        "tag": ({"prompt": "<instantstyle:wash>a cat"},),
        "tag in hires fix": ({"hr_prompt": "a <instantstyle:wash:0.5>dog", **hires},),
    }  # fmt: skip
    made = {}
    for family, each in (("sdxl", sdxl), ("sd15", sd15)):
        for name, items in each.items():
            made[f"{family} {name}"] = _request(f"tiny_{family}", items, text)
    return made


# Fields of the WebUI's own request, which stand behind the units.
_WEBUI = {"prompt", "negative_prompt", "hr_prompt", "steps", "batch_size", "init_images",
          "enable_hr", "width"}  # fmt: skip


def _request(checkpoint: str, items: tuple, text: Request) -> Request:
    last = items[-1]
    fields = last if isinstance(last, dict) and _WEBUI & last.keys() else {}
    given = items[:-1] if fields else items
    units = args(*given) if given else {}
    path = "/sdapi/v1/img2img" if "init_images" in fields else "/sdapi/v1/txt2img"
    body = {**SMALL, **SIZE, **text, **fields, **units}
    return {"checkpoint": checkpoint, "path": path, "body": body}


def refusals(cup: str) -> dict[str, Request]:
    """Requests that are answered with one sentence, which names no list that may grow."""
    unit = {"image": cup}
    styleid = {**unit, "method": "styleid"}
    wrong: dict[str, tuple[str, tuple]] = {
        "weight": ("tiny_sdxl", ({**unit, "weight": 9},)),
        "type": ("tiny_sdxl", ({**unit, "enabled": "yes"},)),
        "time curve": ("tiny_sdxl", ({**unit, "time_curve": "up"},)),
        "second unit": ("tiny_sdxl", (unit, {**unit, "start": -1})),
        "reference": ("tiny_sdxl", ({"preset": "style"},)),
        "style": ("tiny_sdxl", ({"style": "no such style"},)),
        "blocks": ("tiny_sdxl", ({**unit, "blocks": "6:1; nowhere=1"},)),
        "picture": ("tiny_sdxl", ({"image": "no picture"},)),
        "styleid in txt2img": ("tiny_sdxl", (styleid,)),
        "lora": ("tiny_sdxl", ({"method": "b-lora"},)),
        "form": ("tiny_sdxl", (7,)),
        "units": ("tiny_sdxl", ({"units": 3},)),
        "too many": ("tiny_sdxl", ({"units": [{"style": "ink"}] * 11},)),
        "tag": ("tiny_sdxl", ({"prompt": "a <instantstyle:ink:lots>"},)),
        "negative tag": ("tiny_sdxl", ({"prompt": "", "negative_prompt": "<instantstyle:ink>"},)),
        "b-lora on sd15": ("tiny_sd15", ({"method": "b-lora", "lora": "tiny_b-lora_sdxl"},)),
        "adapter": ("tiny_sd15", ({**unit, "adapter": "ip-adapter_sdxl"},)),
        "words": ("tiny_sd15", ({**unit, "content": "a cup"},)),
        "encoder": ("tiny_sd15", ({"style": "ink"},)),
    }
    return {name: _request(of, items, {"prompt": "a cat"}) for name, (of, items) in wrong.items()}
