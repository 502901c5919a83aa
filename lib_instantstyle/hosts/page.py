"""Parts of the WebUI that the page and the script are made of."""

from __future__ import annotations

from modules import errors
from modules.infotext_utils import PasteField
from modules.ui_common import create_refresh_button
from modules.ui_components import InputAccordion

report_exception = errors.report

__all__ = [
    "InputAccordion",
    "PasteField",
    "create_refresh_button",
    "report_exception",
]
