"""Lists that settings offer, and the class that makes `shared.sd_model` a property."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any


def sd_vae_items() -> list[str]:
    return ["Automatic", "None"]


def cross_attention_optimizations() -> list[str]:
    from modules import sd_hijack

    return ["Automatic"] + [x.title() for x in sd_hijack.optimizers] + ["None"]


def sd_unet_items() -> list[str]:
    from modules import sd_unet

    return ["Automatic"] + [x.label for x in sd_unet.unet_options] + ["None"]


def refresh_unet_list() -> None:
    from modules import sd_unet

    sd_unet.list_unets()


def list_checkpoint_tiles(use_short: bool = False) -> list[str]:
    from modules import sd_models

    return sd_models.checkpoint_tiles(use_short)


def refresh_checkpoints() -> None:
    from modules import sd_models

    sd_models.list_models()


def list_samplers() -> list:
    from modules import sd_samplers

    return sd_samplers.all_samplers


def get_infotext_names() -> list[str]:
    from modules import infotext_utils, shared

    names = {info.infotext: 1 for info in shared.opts.data_labels.values() if info.infotext}
    for tab in infotext_utils.paste_fields.values():
        names.update({name: 1 for _, name in tab.get("fields") or [] if isinstance(name, str)})
    return list(names)


ui_reorder_categories_builtin_items = [
    "prompt",
    "image",
    "inpaint",
    "sampler",
    "accordions",
    "checkboxes",
    "dimensions",
    "cfg",
    "denoising",
    "seed",
    "batch",
    "override_settings",
]


def ui_reorder_categories() -> Iterator[str]:
    """Sections of the page from top to bottom: the built-in ones, those scripts name, scripts."""
    from modules import scripts

    yield from ui_reorder_categories_builtin_items
    extra: dict[str, int] = {}
    for script in scripts.scripts_txt2img.scripts + scripts.scripts_img2img.scripts:
        if isinstance(script.section, str):
            extra[script.section] = 1
    yield from (x for x in extra if x not in ui_reorder_categories_builtin_items)
    yield "scripts"


class Shared(ModuleType):
    """The class of the module `modules.shared`."""

    @property
    def sd_model(self) -> Any:
        import modules.sd_models

        return modules.sd_models.model_data.get_sd_model()

    @sd_model.setter
    def sd_model(self, value: Any) -> None:
        import modules.sd_models

        modules.sd_models.model_data.set_sd_model(value)
