"""The choices of the page's lists of files, read on an event and never when the page is built."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lib_instantstyle.hosts import lora_folders, model_folders
from lib_instantstyle.methods import TABLE
from lib_instantstyle.models.lora_files import lora_files
from lib_instantstyle.styles.library import library
from lib_instantstyle.units.choices import AUTO


def adapter_choices() -> list[str]:
    """AUTO and the names of the adapters found."""
    from lib_instantstyle.models.catalog import scan  # knows the formats of model files

    return [AUTO, *(file.name for file in scan(model_folders()).adapters)]


def style_choices() -> list[str]:
    """An empty choice, and the names of the saved styles."""
    return ["", *(style.name for style in library(TABLE).styles())]


def lora_choices() -> list[str]:
    """An empty choice, and the names of the LoRAs found."""
    return ["", *lora_files(lora_folders())]


# By the kind that a field names (see field.Files); the first entry is the field's default.
FILE_LISTS: Mapping[str, Callable[[], list[str]]] = {
    "adapters": adapter_choices,
    "styles": style_choices,
    "loras": lora_choices,
}
