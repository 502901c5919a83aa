"""What a request says about scripts, turned into the one list of arguments of all scripts."""

from __future__ import annotations

from typing import get_args

import gradio as gr
from fastapi.exceptions import HTTPException
from modules import infotext_utils


def script_name_to_index(name: str, scripts: list) -> int:
    try:
        return [script.title().lower() for script in scripts].index(name.lower())
    except Exception as e:
        raise HTTPException(status_code=422, detail=f"Script '{name}' not found") from e


def init_default_script_args(script_runner) -> list:
    """The values a fresh `ui()` starts with: it is called twice more for that."""
    args = [None] * max([1, *(x.args_to for x in script_runner.scripts)])
    args[0] = 0
    with gr.Blocks():
        for script in script_runner.scripts:
            if script.ui(script.is_img2img):
                values = [x.value for x in script.ui(script.is_img2img)]
                args[script.args_from : script.args_to] = values
    return args


def init_script_args(
    request,
    default_script_args: list,
    selectable,
    selectable_idx,
    script_runner,
    *,
    input_script_args: dict | None = None,
) -> list:
    """Defaults, then the infotext's values, then the request's. Too many are cut silently."""
    args = default_script_args.copy()
    for index, value in (input_script_args or {}).items():
        args[index] = value
    if selectable:
        args[selectable.args_from : selectable.args_to] = request.script_args
        args[0] = selectable_idx + 1
    for name in request.alwayson_scripts or {}:
        script = get_script(name, script_runner)
        if script is None:
            raise HTTPException(status_code=422, detail=f"always on script {name} not found")
        if script.alwayson is False:
            raise HTTPException(
                status_code=422,
                detail="Cannot have a selectable script in the always on scripts params",
            )
        if "args" not in request.alwayson_scripts[name]:
            continue
        given = request.alwayson_scripts[name]["args"]
        for i in range(min(script.args_to - script.args_from, len(given))):
            args[script.args_from + i] = given[i]
    return args


def get_script(script_name: str | None, script_runner):
    if script_name is None or script_name == "":
        return None
    return script_runner.scripts[script_name_to_index(script_name, script_runner.scripts)]


def _type_of(field) -> type:
    """The type of a field of a request, `str` of an optional one as well; pydantic 1 and 2."""
    if hasattr(field, "type_"):
        return field.type_
    allowed = [x for x in get_args(field.annotation) if x is not type(None)]
    return allowed[0] if len(allowed) == 1 else field.annotation


def _field_value(field, params: dict, request):
    value = field.function(params) if field.function else params.get(field.label)
    if value is None:
        return None
    if field.api in request.__fields__:
        target_type = _type_of(request.__fields__[field.api])
    else:
        target_type = type(field.component.value)
    if target_type is type(None):
        return None
    if isinstance(value, dict) and value.get("__type__") == "generic_update":
        value = value.get("value")
    if value is not None and not isinstance(value, target_type):
        value = target_type(value)
    return value


def apply_infotext(request, tabname: str, *, script_runner=None, mentioned_script_args=None):
    """Fills the request from its `infotext`; what the request itself sets is left alone."""
    if not request.infotext:
        return {}
    fields = infotext_utils.paste_fields[tabname]["fields"]
    already = request.dict(exclude_unset=True)
    params = infotext_utils.parse_generation_parameters(request.infotext)
    for field in fields:
        if not field.api or field.api in already:
            continue
        value = _field_value(field, params, request)
        if value is not None:
            setattr(request, field.api, value)
    if request.override_settings is None:
        request.override_settings = {}
    for _, setting, value in infotext_utils.get_override_settings(params):
        request.override_settings.setdefault(setting, value)
    if script_runner is not None and mentioned_script_args is not None:
        indexes = {v: i for i, v in enumerate(script_runner.inputs)}
        for field in fields:
            if field.component not in indexes:
                continue
            value = _field_value(field, params, request)
            if value is not None:
                mentioned_script_args[indexes[field.component]] = value
    return params
