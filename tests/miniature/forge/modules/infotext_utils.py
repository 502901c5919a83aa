"""Infotexts in Forge; a picture of the gallery comes as a tuple (picture, caption)."""

from __future__ import annotations

import sys

from tests.miniature.modules import infotext_utils as a1111
from tests.miniature.modules.infotext_utils import *  # noqa: F403

sys.modules["modules.generation_parameters_copypaste"] = sys.modules[__name__]


def image_from_url_text(filedata):
    if isinstance(filedata, list) and filedata:
        filedata = filedata[0]
    if isinstance(filedata, tuple):
        return filedata[0]
    return a1111.image_from_url_text(filedata)


a1111.image_from_url_text = image_from_url_text  # its own functions must find this one
