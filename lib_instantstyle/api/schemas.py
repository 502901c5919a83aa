"""The bodies of our POST routes as OpenAPI describes them, made from the table of fields."""

from __future__ import annotations

from typing import Any

from lib_instantstyle.limits import UNITS, WORDS
from lib_instantstyle.methods import TABLE

Schema = dict[str, Any]


def unit() -> Schema:
    """The schema of a unit."""
    return {"type": "object", "properties": {name: _field(name) for name in TABLE.fields}}


def _field(name: str) -> Schema:
    field = TABLE.fields[name]
    described: Schema = dict(field.parse.schema)
    described["description"] = "; ".join(
        text for text in (field.meaning, described.get("description")) if text
    )
    if isinstance(field.default, (bool, int, float, str)):
        described["default"] = field.default
    return described


def request_of(properties: Schema) -> Schema:
    """What FastAPI adds to a route's description for a body with `properties`."""
    schema = {"type": "object", "properties": properties}
    content = {"application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


def plan() -> Schema:
    """The body of `plan`: units, in any form of a generation's request, and the generation."""
    return request_of(
        {
            "units": {"type": "array", "items": unit(), "maxItems": UNITS},
            "args": {"type": "array", "description": "as in alwayson_scripts, instead of units"},
            "alwayson_scripts": {"type": "object", "description": "as in txt2img, instead of args"},
            "steps": {"type": "integer", "default": 20},
            "cfg_scale": {"type": "number", "default": 7},
            "enable_hr": {"type": "boolean", "default": False},
            "hr_second_pass_steps": {"type": "integer", "default": 0},
            "prompt": {"type": "string", "description": "whose tags are units"},
            "override_settings": {"type": "object", "description": "for sd_model_checkpoint"},
        }
    )


def embed() -> Schema:
    """The body of `embed`: the name of the new style, and the fields of a unit."""
    return request_of({"name": {"type": "string"}, **unit()["properties"]})


def content() -> Schema:
    """The body of `content`: a reference, its content, and how many words to suggest."""
    names = (
        "image", "adapter", "content", "content_scale", "content_mode", "clip_source",
        "content_share", "auto_content",
    )  # fmt: skip
    fields = {name: _field(name) for name in names}
    return request_of({**fields, "count": {"type": "integer", "default": 8, "maximum": WORDS}})
