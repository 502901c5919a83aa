"""Parts of the WebUI that the page and the script are made of."""

from __future__ import annotations

from modules import errors, scripts
from modules.infotext_utils import PasteField
from modules.ui_common import create_refresh_button
from modules.ui_components import InputAccordion

AlwaysVisible = scripts.AlwaysVisible
report_exception = errors.report

__all__ = [
    "AlwaysVisible",
    "InputAccordion",
    "PasteField",
    "create_refresh_button",
    "report_exception",
]
