"""The WebUI under test: the miniature, or the real one that INSTANTSTYLE_WEBUI names.

INSTANTSTYLE_WEBUI is the folder of an installed A1111, INSTANTSTYLE_WEBUI_PYTHON its Python (by
default the one in its own venv). Extra flags may stand in INSTANTSTYLE_WEBUI_FLAGS. A WebUI that
already runs, with the extension and the tiny models in its folders, is named by its address in
INSTANTSTYLE_WEBUI_URL.
"""

import os
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.webui import control_models
from tests.webui.client import Client
from tests.webui.server import miniature, real


@pytest.fixture(scope="session")
def webui(tmp_path_factory):
    """Address and name of a running WebUI."""
    data = tmp_path_factory.mktemp("webui")
    flags = os.environ.get("INSTANTSTYLE_WEBUI_FLAGS", "").split()
    folder = os.environ.get("INSTANTSTYLE_WEBUI")
    running = os.environ.get("INSTANTSTYLE_WEBUI_URL")
    if running:
        context = nullcontext(running.rstrip("/"))
    elif folder:
        default = Path(folder) / "venv" / "bin" / "python"
        python = Path(os.environ.get("INSTANTSTYLE_WEBUI_PYTHON", default))
        paths = os.environ.get("INSTANTSTYLE_WEBUI_EXTENSIONS", "").split(os.pathsep)
        extensions = [Path(path).absolute() for path in paths if path]
        if any("controlnet" in path.name for path in extensions):
            flags += control_models.prepare(data)
            extensions.append(control_models.PROBE)
        context = real(Path(folder), python, data, *flags, extensions=extensions)
    else:
        context = miniature(data, *flags)
    with context as url:
        yield url


@pytest.fixture(scope="session")
def client(webui):
    return Client(webui)


# Where the UNet's family makes no difference, the miniature is tried with the quicker one alone.
FAMILIES = ["tiny_sdxl", "tiny_sd15"]
IS_REAL = bool(os.environ.get("INSTANTSTYLE_WEBUI") or os.environ.get("INSTANTSTYLE_WEBUI_URL"))
either_family = pytest.mark.parametrize(
    "checkpoint", FAMILIES if IS_REAL else ["tiny_sd15"], indirect=True, scope="session"
)


@pytest.fixture(scope="session", params=FAMILIES)
def checkpoint(client, request):
    """The client with one of the two checkpoints loaded."""
    client.options(sd_model_checkpoint=f"{request.param}.safetensors")
    return request.param
