"""Requests and answers. Those for pictures are made from the constructors of `p`."""

# pydantic reads these annotations when the module is imported: no postponed ones here
import inspect
from typing import Any, Dict, List, Optional  # noqa: UP035

from modules.processing import (
    StableDiffusionProcessingImg2Img,
    StableDiffusionProcessingTxt2Img,
)
from modules.shared import opts, parser
from pydantic import BaseModel, Field, create_model

API_NOT_ALLOWED = {
    "self",
    "kwargs",
    "sd_model",
    "outpath_samples",
    "outpath_grids",
    "sampler_index",
    "extra_generation_params",
    "overlay_images",
    "do_not_reload_embeddings",
    "seed_enable_extras",
    "prompt_for_display",
    "sampler_noise_scheduler_override",
    "ddim_discretize",
}

COMMON = {
    "sampler_index": (str, "Euler"),
    "script_name": (Optional[str], None),  # noqa: UP045
    "script_args": (list, []),
    "send_images": (bool, True),
    "save_images": (bool, False),
    "alwayson_scripts": (dict, {}),
    "force_task_id": (Optional[str], None),  # noqa: UP045
    "infotext": (Optional[str], None),  # noqa: UP045
}


def _request_model(name: str, processing_class: type, additional: Dict[str, tuple]):  # noqa: UP006
    """All parameters of the constructors, each of them optional; pictures travel as text.

    Where a class and its base differ in a default, the base's holds: without a word about it, the
    denoising strength of hires fix is None, and that is an error.
    """
    fields: dict = {}
    for cls in inspect.getmro(processing_class)[:-1]:
        for key, parameter in inspect.signature(cls.__init__).parameters.items():
            if key in API_NOT_ALLOWED:
                continue
            kind = "str" if parameter.annotation == "Image" else parameter.annotation
            default = None if isinstance(parameter.default, property) else parameter.default
            fields[key] = (Optional[kind], Field(default=default, exclude=False))  # noqa: UP045
    for key, (kind, default, *excluded) in additional.items():
        fields[key] = (kind, Field(default=default, exclude=bool(excluded)))
    return create_model(name, __module__=__name__, **fields)


StableDiffusionTxt2ImgProcessingAPI = _request_model(
    "StableDiffusionProcessingTxt2Img", StableDiffusionProcessingTxt2Img, COMMON
)
StableDiffusionImg2ImgProcessingAPI = _request_model(
    "StableDiffusionProcessingImg2Img",
    StableDiffusionProcessingImg2Img,
    {
        **COMMON,
        "init_images": (Optional[list], None),  # noqa: UP045
        "denoising_strength": (float, 0.75),
        "mask": (Optional[str], None),  # noqa: UP045
        "include_init_images": (bool, False, True),
    },
)


class TextToImageResponse(BaseModel):
    images: Optional[List[str]] = None  # noqa: UP006, UP045
    parameters: dict
    info: str


class ImageToImageResponse(TextToImageResponse):
    pass


class PNGInfoRequest(BaseModel):
    image: str


class PNGInfoResponse(BaseModel):
    info: str
    items: dict
    parameters: dict


class ProgressRequest(BaseModel):
    skip_current_image: bool = False


class ProgressResponse(BaseModel):
    progress: float
    eta_relative: float
    state: dict
    current_image: Optional[str] = None  # noqa: UP045
    textinfo: Optional[str] = None  # noqa: UP045


def _options_model():
    fields = {}
    for key, info in opts.data_labels.items():
        kind = opts.typemap.get(type(info.default), type(info.default)) if info.default else Any
        field = Field(default=info.default, description=info.label)
        fields[key] = (Optional[kind], field)  # noqa: UP045
    return create_model("Options", **fields)


def _flags_model():
    flags = {}
    for action in parser._option_string_actions.values():
        if action.dest != "help":
            kind = str if action.default is None else type(action.default)
            flags[action.dest] = (kind, Field(default=action.default, description=action.help))
    return create_model("Flags", **flags)


OptionsModel = _options_model()
FlagsModel = _flags_model()


class SamplerItem(BaseModel):
    name: str
    aliases: List[str]  # noqa: UP006
    options: Dict[str, str]  # noqa: UP006


class SchedulerItem(BaseModel):
    name: str
    label: str
    aliases: Optional[List[str]]  # noqa: UP006, UP045
    default_rho: Optional[float]  # noqa: UP045
    need_inner_model: Optional[bool]  # noqa: UP045


class UpscalerItem(BaseModel):
    class Config:
        protected_namespaces = ()  # pydantic 2 keeps names that begin with model_ for itself

    name: str
    model_name: Optional[str]  # noqa: UP045
    model_path: Optional[str]  # noqa: UP045
    model_url: Optional[str]  # noqa: UP045
    scale: Optional[float]  # noqa: UP045


class SDModelItem(BaseModel):
    class Config:
        protected_namespaces = ()  # pydantic 2 keeps names that begin with model_ for itself

    title: str
    model_name: str
    hash: Optional[str]  # noqa: UP045
    sha256: Optional[str]  # noqa: UP045
    filename: str
    config: Optional[str]  # noqa: UP045


class MemoryResponse(BaseModel):
    ram: dict
    cuda: dict


class ScriptsList(BaseModel):
    txt2img: list = None
    img2img: list = None


class ScriptArg(BaseModel):
    label: str = None
    value: Optional[Any] = None  # noqa: UP045
    minimum: Optional[Any] = None  # noqa: UP045
    maximum: Optional[Any] = None  # noqa: UP045
    step: Optional[Any] = None  # noqa: UP045
    choices: Optional[List[str]] = None  # noqa: UP006, UP045


class ScriptInfo(BaseModel):
    name: str = None
    is_alwayson: bool = None
    is_img2img: bool = None
    args: List[ScriptArg]  # noqa: UP006


class ExtensionItem(BaseModel):
    name: str
    remote: str
    branch: str
    commit_hash: str
    version: str
    commit_date: str
    enabled: bool
