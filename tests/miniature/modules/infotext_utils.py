"""Reading infotexts: into a dictionary, into the fields of the page, into an API request."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from pathlib import Path

import gradio as gr
from modules import errors, images, prompt_parser, script_callbacks, shared, ui_tempdir
from modules.paths import data_path
from PIL import Image

sys.modules["modules.generation_parameters_copypaste"] = sys.modules[__name__]

re_param_code = r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)'
re_param = re.compile(re_param_code)
re_imagesize = re.compile(r"^(\d+)x(\d+)$")
type_of_gr_update = type(gr.update())


class ParamBinding:
    """A button that sends a picture or its parameters to a tab."""

    def __init__(
        self,
        paste_button,
        tabname,
        source_text_component=None,
        source_image_component=None,
        source_tabname=None,
        override_settings_component=None,
        paste_field_names=None,
    ):
        self.paste_button = paste_button
        self.tabname = tabname
        self.source_text_component = source_text_component
        self.source_image_component = source_image_component
        self.source_tabname = source_tabname
        self.override_settings_component = override_settings_component
        self.paste_field_names = paste_field_names or []


class PasteField(tuple):
    """(component, label or function of the parsed parameters)."""

    def __new__(cls, component, target, *, api=None):
        return super().__new__(cls, (component, target))

    def __init__(self, component, target, *, api=None):
        super().__init__()
        self.api = api
        self.component = component
        self.label = target if isinstance(target, str) else None
        self.function = target if callable(target) else None


paste_fields: dict[str, dict] = {}
registered_param_bindings: list[ParamBinding] = []


def reset() -> None:
    paste_fields.clear()
    registered_param_bindings.clear()


def quote(text):
    """As JSON where a comma, a colon or a new line would break the line of parameters."""
    if not any(x in str(text) for x in ",\n:"):
        return text
    return json.dumps(text, ensure_ascii=False)


def unquote(text: str):
    if len(text) == 0 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return json.loads(text)
    except Exception:
        return text


def image_from_url_text(filedata) -> Image.Image | None:
    """What a gallery or a picture on the page sends: a known file, or base64."""
    if filedata is None:
        return None
    if isinstance(filedata, list):
        if not filedata:
            return None
        filedata = filedata[0]
    if isinstance(filedata, dict) and filedata.get("is_file", False):
        filename = filedata["name"]
        assert ui_tempdir.check_tmp_file(shared.demo, filename), (
            "trying to open image file outside of allowed directories"
        )
        return images.read(filename.rsplit("?", 1)[0])
    data = filedata.removeprefix("data:image/png;base64,")
    return images.read(io.BytesIO(base64.decodebytes(data.encode("utf-8"))))


def add_paste_fields(tabname, init_img, fields, override_settings_component=None) -> None:
    for i, item in enumerate(fields or []):
        if not isinstance(item, PasteField):
            fields[i] = PasteField(*item)
    paste_fields[tabname] = {
        "init_img": init_img,
        "fields": fields,
        "override_settings_component": override_settings_component,
    }
    import modules.ui  # older extensions look for the fields there

    if tabname in ("txt2img", "img2img"):
        setattr(modules.ui, f"{tabname}_paste_fields", fields)


def create_buttons(tabs_list) -> dict[str, gr.Button]:
    return {tab: gr.Button(f"Send to {tab}", elem_id=f"{tab}_tab") for tab in tabs_list}


def register_paste_params_button(binding: ParamBinding) -> None:
    registered_param_bindings.append(binding)


def connect_paste_params_buttons() -> None:
    for binding in registered_param_bindings:
        if binding.tabname in paste_fields:
            _connect_binding(binding, paste_fields[binding.tabname])


def _connect_binding(binding: ParamBinding, target: dict) -> None:
    button, fields = binding.paste_button, target["fields"]
    override = binding.override_settings_component or target["override_settings_component"]
    if binding.source_image_component and target["init_img"]:
        _connect_image(binding, target)
    if binding.source_text_component is not None and fields is not None:
        connect_paste(button, fields, binding.source_text_component, override, binding.tabname)
    if binding.source_tabname is not None and fields is not None:
        names = ["Prompt", "Negative prompt", "Steps", "Face restoration"]
        names += ["Seed"] if shared.opts.send_seed else []
        names += binding.paste_field_names
        source = paste_fields[binding.source_tabname]["fields"]
        button.click(  # by label: a field that is a function is never sent
            fn=lambda *x: x,
            inputs=[component for component, name in source if name in names],
            outputs=[component for component, name in fields if name in names],
            show_progress=False,
        )
    button.click(
        fn=None,
        _js=f"switch_to_{binding.tabname}",
        inputs=None,
        outputs=None,
        show_progress=False,
    )


def _connect_image(binding: ParamBinding, target: dict) -> None:
    by_label = {name: x for x, name in target["fields"] or [] if isinstance(name, str)}
    size = [by_label[x] for x in ("Size-1", "Size-2") if x in by_label]
    sized = bool(size) and binding.tabname != "inpaint"
    from_gallery = isinstance(binding.source_image_component, gr.Gallery)
    plain = image_from_url_text if from_gallery else (lambda x: x)
    binding.paste_button.click(
        fn=send_image_and_dimensions if sized else plain,
        _js="extract_image_from_gallery" if from_gallery else None,
        inputs=[binding.source_image_component],
        outputs=[target["init_img"], *size] if sized else [target["init_img"]],
        show_progress=False,
    )


def send_image_and_dimensions(x):
    img = x if isinstance(x, Image.Image) else image_from_url_text(x)
    if shared.opts.send_size and isinstance(img, Image.Image):
        return img, img.width, img.height
    return img, gr.update(), gr.update()


_defaults_of_missing = {
    "Clip skip": "1",
    "Hires sampler": "Use same sampler",
    "Hires schedule type": "Use same scheduler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
    "Mask mode": "Inpaint masked",
    "Masked content": "original",
    "Inpaint area": "Whole picture",
    "Masked area padding": 32,
    "RNG": "GPU",
    "Schedule type": "Automatic",
    "Schedule max sigma": 0,
    "Schedule min sigma": 0,
    "Schedule rho": 0,
    "VAE Encoder": "Full",
    "VAE Decoder": "Full",
    "FP8 weight": "Disable",
    "Refiner switch by sampling steps": False,
}


def parse_generation_parameters(x: str, skip_fields: list[str] | None = None) -> dict:
    """An infotext as a dictionary. A value like 64x32 is split into `key-1` and `key-2`."""
    if skip_fields is None:
        skip_fields = shared.opts.infotext_skip_pasting
    *lines, last = x.strip().split("\n")
    if len(re_param.findall(last)) < 3:
        lines.append(last)
        last = ""

    prompt: list[str] = []
    negative: list[str] = []
    part = prompt
    for line in lines:
        line = line.strip()
        if line.startswith("Negative prompt:"):
            part = negative
            line = line.removeprefix("Negative prompt:").strip()
        part.append(line)

    res: dict = {}
    for key, value in re_param.findall(last):
        try:
            value = unquote(value) if value[0] == '"' and value[-1] == '"' else value
            size = re_imagesize.match(value)
            if size is None:
                res[key] = value
            else:
                res[f"{key}-1"], res[f"{key}-2"] = size.groups()
        except Exception:
            print(f'Error parsing "{key}: {value}"')

    res["Prompt"] = "\n".join(prompt)
    res["Negative prompt"] = "\n".join(negative)
    if "Hires resize-1" not in res:
        res["Hires resize-1"] = res["Hires resize-2"] = 0
    for key, value in _defaults_of_missing.items():
        res.setdefault(key, value)
    attention = prompt_parser.parse_prompt_attention(res["Prompt"] + res["Negative prompt"])
    if "Emphasis" not in res and any(weight != 1.0 for _, weight in attention):
        res["Emphasis"] = "Original"
    for key in skip_fields:
        res.pop(key, None)
    return res


infotext_to_setting_name_mapping: list[tuple[str, str]] = []


def _settings_by_label() -> list[tuple[str, str]]:
    labels = shared.opts.data_labels.items()
    mapping = [(info.infotext, key) for key, info in labels if info.infotext]
    return mapping + infotext_to_setting_name_mapping


def create_override_settings_dict(text_pairs: list[str]) -> dict:
    """['Clip skip: 2'] -> {'CLIP_stop_at_last_layers': 2}."""
    pairs = (x.split(":", maxsplit=1) for x in text_pairs or [])  # Gradio 4 sends None for none
    params = {k: v.strip() for k, v in pairs}
    return {
        setting: shared.opts.cast_value(setting, params[label])
        for label, setting in _settings_by_label()
        if label in params
    }


def get_override_settings(params: dict, *, skip_fields=None) -> list[tuple]:
    """(label, setting, value) of what the infotext says otherwise than the settings do."""
    res = []
    for label, setting in _settings_by_label():
        value = params.get(label)
        if label in (skip_fields or {}) or value is None:
            continue
        if setting == "sd_model_checkpoint" and shared.opts.disable_weights_auto_swap:
            continue
        value = shared.opts.cast_value(setting, value)
        if value != getattr(shared.opts, setting, None):
            res.append((label, setting, value))
    return res


def _read_last_infotext() -> str:
    try:
        return (Path(data_path) / "params.txt").read_text(encoding="utf8")
    except OSError:
        return ""


def _pasted_value(output, key, params: dict):
    """The update of one component. What cannot be cast leaves it as it is."""
    if callable(key):
        try:
            value = key(params)
        except Exception:
            errors.report(f"Error executing {key}", exc_info=True)
            value = None
    else:
        value = params.get(key)
    if value is None:
        return gr.update()
    if isinstance(value, type_of_gr_update):
        return value
    try:
        kind = type(output.value)
        if kind is bool and value == "False":
            return gr.update(value=False)
        return gr.update(value=float(value) if kind is int else kind(value))
    except Exception:
        return gr.update()


def connect_paste(button, paste_fields, input_comp, override_settings_component, tabname) -> None:
    fields = list(paste_fields)
    if override_settings_component is not None:
        handled = {key: 1 for _, key in paste_fields}

        def paste_settings(params):
            found = get_override_settings(params, skip_fields=handled)
            pairs = [f"{label}: {value}" for label, _, value in found]
            return gr.Dropdown.update(value=pairs, choices=pairs, visible=bool(pairs))

        fields.append((override_settings_component, paste_settings))

    def paste_func(prompt):
        opts = shared.cmd_opts
        if not prompt and not opts.hide_ui_dir_config and not opts.no_prompt_history:
            prompt = _read_last_infotext()
        params = parse_generation_parameters(prompt)
        script_callbacks.infotext_pasted_callback(prompt, params)
        return [_pasted_value(output, key, params) for output, key in fields]

    button.click(
        fn=paste_func, inputs=[input_comp], outputs=[x[0] for x in fields], show_progress=False
    )
    button.click(
        fn=None, _js=f"recalculate_prompts_{tabname}", inputs=[], outputs=[], show_progress=False
    )
