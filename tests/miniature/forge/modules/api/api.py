"""The routes, where Forge's differ from A1111's."""

from __future__ import annotations

from typing import Any

from modules import sysinfo

from tests.miniature.modules.api import api as a1111
from tests.miniature.modules.api.api import *  # noqa: F403


class Api(a1111.Api):
    def get_config(self):
        return sysinfo.get_config()

    def set_config(self, req: dict[str, Any]):
        sysinfo.set_config(req)
