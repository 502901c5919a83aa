"""The miniature inside a test process. State of a WebUI is global: one boot for each process."""

from __future__ import annotations

import atexit
import base64
import copy
import io
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.miniature.__main__ import enter
from tests.miniature.recorder import Recorder, unet_of
from tests.miniature.server import Server, flag_arguments, serve  # noqa: F401
from tests.miniature.tiny.linked import link_family

SMALL = {
    "prompt": "a cat",
    "steps": 2,
    "width": 64,
    "height": 64,
    "seed": 1,
    "sampler_name": "Euler",
}


def to_base64(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def from_base64(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def _calls(dependency: dict, target: int, event: str) -> bool:
    """Whether this is what happens on that event of that component; Gradio 3 and 4."""
    if "trigger" in dependency:
        return target in dependency["targets"] and dependency["trigger"] == event
    return (target, event) in map(tuple, dependency["targets"])


@dataclass
class Answer:
    """What a request for pictures came back with."""

    status: int
    body: dict[str, Any]

    @property
    def images(self) -> list[Image.Image]:
        return [from_base64(x) for x in self.body["images"]]

    @property
    def png(self) -> list[bytes]:
        """The files themselves: equal bytes mean equal pixels and equal infotext."""
        return [base64.b64decode(x) for x in self.body["images"]]

    @property
    def pixels(self) -> list[bytes]:
        return [x.convert("RGB").tobytes() for x in self.images]

    @property
    def info(self) -> dict[str, Any]:
        return json.loads(self.body["info"])

    @property
    def infotexts(self) -> list[str]:
        return self.info["infotexts"]

    @property
    def parameters(self) -> dict[str, Any]:
        """The last infotext as the WebUI parses it."""
        from modules import infotext_utils

        return infotext_utils.parse_generation_parameters(self.infotexts[-1])


class WebUI:
    """A booted miniature: its API through a client in the process, and its `shared` state."""

    def __init__(self, page: bool) -> None:
        self.page = page
        self.demo = None
        self.api = None
        self.build()

    def build(self) -> None:
        """Page and API, in the order in which A1111 makes them."""
        import webui
        from fastapi.testclient import TestClient
        from modules import progress, script_callbacks, ui, ui_extra_networks

        if self.page:
            from gradio.routes import App

            self.demo = webui.create_page()
            self.app = App.create_app(self.demo)
            webui._drop_cors(self.app)
            progress.setup_progress_api(self.app)
            ui.setup_ui_api(self.app)
            ui_extra_networks.add_pages_to_demo(self.app)
            self.api = webui.create_api(self.app)
            script_callbacks.app_started_callback(self.demo, self.app)
        else:
            self.app, self.api = webui.api_only_app()
        self.client = TestClient(self.app, raise_server_exceptions=False)

    def add_extension(self, path: Path | str) -> None:
        """Loads one more extension, unless it is there already; reloads the UI for that."""
        if str(path) not in self.shared.cmd_opts.extension:
            self.shared.cmd_opts.extension.append(str(path))
            self.reload_ui()

    def reload_ui(self) -> None:
        """The button of that name: scripts are loaded again, imported packages stay."""
        import webui
        from modules import initialize

        webui.reload(initialize)
        self.build()

    # -- requests ----------------------------------------------------------------------------

    def get(self, path: str, **kwargs):
        return self.client.get(path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs):
        return self.client.post(path, json=body, **kwargs)

    def _pictures(self, path: str, fields: dict, expect: int | None) -> Answer:
        response = self.post(path, {**SMALL, **fields})
        if expect is not None and response.status_code != expect:
            raise AssertionError(f"{response.status_code} instead of {expect}: {response.text}")
        return Answer(response.status_code, response.json())

    def txt2img(self, *, expect: int | None = 200, **fields) -> Answer:
        """A small picture unless the fields say otherwise. `expect=None` takes any status."""
        return self._pictures("/sdapi/v1/txt2img", fields, expect)

    def img2img(self, image: Image.Image | None, *, expect: int | None = 200, **fields) -> Answer:
        mask = fields.get("mask")
        if isinstance(mask, Image.Image):
            fields["mask"] = to_base64(mask)
        if "init_images" not in fields:
            fields["init_images"] = [to_base64(image)]
        return self._pictures("/sdapi/v1/img2img", fields, expect)

    def dependency(self, elem_id: str, event: str = "click") -> tuple[int, dict]:
        """(number, description) of what a component's event calls on the server."""
        blocks = self.demo.blocks
        target = next(k for k, v in blocks.items() if getattr(v, "elem_id", None) == elem_id)
        return next(
            (x.get("id", i), x)
            for i, x in enumerate(self.demo.get_config_file()["dependencies"])
            if x["backend_fn"] and _calls(x, target, event)
        )

    def press(self, elem_id: str, event: str = "click", **values) -> list:
        """Triggers an event of the page with the values of its inputs, by their elem_id.

        Inputs that are not given keep the value the page starts with. Javascript does not run, so
        what it would send (task id, chosen tab) is given as `values["_0"]`, `["_1"]` by position.
        Where something else is called after it, the last answer counts.
        """
        index, dependency = self.dependency(elem_id, event)
        answer = self._call(index, dependency, values)
        for i, after in enumerate(self.demo.get_config_file()["dependencies"]):
            if after["trigger_after"] == index:
                index = after.get("id", i)
                answer = self._call(index, after, values)
        return answer

    def _call(self, index: int, dependency: dict, values: dict) -> list:
        from modules import host

        data = []
        for position, block_id in enumerate(dependency["inputs"]):
            block = self.demo.blocks[block_id]
            value = getattr(block, "value", None)
            value = values.get(getattr(block, "elem_id", None), value)
            value = values.get(f"_{position}", value)
            if value is None and getattr(block, "multiselect", False):
                value = []  # as the browser sends it
            data.append(value() if callable(value) else value)
        body = {"fn_index": index, "data": data, "session_hash": "harness"}
        response = host.while_working(lambda: self.post("/run/predict", body))
        assert response.status_code == 200, response.text
        return response.json()["data"]

    # -- insides -----------------------------------------------------------------------------

    @property
    def shared(self):
        from modules import shared

        return shared

    @property
    def sd_model(self):
        return self.shared.sd_model

    @property
    def unet(self):
        return unet_of(self.sd_model)

    def use(self, checkpoint: str) -> None:
        """Loads the checkpoint whose name contains the text, as the drop-down would."""
        from modules import host, sd_models

        info = sd_models.get_closet_checkpoint_match(checkpoint)
        assert info is not None, f"no checkpoint {checkpoint!r}"
        self.set(sd_model_checkpoint=info.title)
        host.load_chosen()  # where the setting was right but another one is loaded

    def set(self, **options) -> None:
        response = self.post("/sdapi/v1/options", options)
        assert response.status_code == 200, response.text

    def record(self) -> Recorder:
        return Recorder()

    @property
    def reports(self) -> list[str]:
        """Everything that was printed with `***`, such as exceptions in script hooks."""
        from modules import errors

        return errors.reports

    def script(self, title: str, tab: str = "txt2img"):
        from modules import scripts

        return getattr(scripts, f"scripts_{tab}").script(title)


PROBE = Path(__file__).parent / "probe"
"""A small extension that writes down every hook it is called at; see its lib_probe."""

_booted: WebUI | None = None
_settings: dict[str, Any] = {}  # as they were when it was booted


def boot(
    data_dir: Path | str,
    extension: Path | str | list | None = None,
    page: bool = False,
    *,
    leave_repository: bool = False,
    **flags,
) -> WebUI:
    """Starts the WebUI in this process, once. `flags` are command line flags with underscores.

    `leave_repository` takes the repository off `sys.path`, as the real thing would not have it.
    """
    global _booted, _settings
    if _booted is not None:
        raise RuntimeError("the miniature was booted in this process already")
    family = flags.get("family")
    if family is not None and "models_dir" not in flags:
        flags["models_dir"] = Path(family) / "models"
    os.environ["GRADIO_TEMP_DIR"] = str(Path(data_dir).absolute() / "tmp" / "gradio")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    enter(leave_repository=leave_repository)
    argv = sys.argv
    flags = {"data_dir": Path(data_dir).absolute(), "extension": extension, **flags}
    sys.argv = ["launch.py", *flag_arguments(flags)]
    try:
        from modules import initialize

        initialize.imports()
        initialize.initialize()
    finally:
        sys.argv = argv
    _booted = WebUI(page)
    _settings = copy.deepcopy(_booted.shared.opts.data)
    return _booted


def begin_file() -> None:
    """What an earlier file of this process set or left remembered is undone; models stay loaded.

    Which file runs after which is chance where several processes share them.
    """
    if _booted is None:
        return
    data = _booted.shared.opts.data
    chosen = data.get("sd_model_checkpoint")
    data.clear()
    data.update(copy.deepcopy(_settings))
    if chosen is not None:
        data["sd_model_checkpoint"] = chosen
    forget_references()


def forget_references() -> None:
    """No reference is remembered, in memory or on disk, nor what was made of one."""
    from modules import paths_internal

    for kept in ("cache", "references", "crops"):
        shutil.rmtree(Path(paths_internal.models_path) / "InstantStyle" / kept, ignore_errors=True)
    embedding = sys.modules.get("lib_instantstyle.references.vectors")
    if embedding is not None:
        embedding.cache().release_encoder()
        embedding.cache().tensors.clear()
    banks = sys.modules.get("lib_instantstyle.methods.ip_adapter.banks")
    if banks is not None:
        banks.SESSION.of(banks.BankCache).clear()


def session(**flags) -> WebUI:
    """The WebUI of this process, for test files that can share one: page, probe, tiny models.

    Booted on first use with a throw-away data folder; the models are kept between runs.
    """
    if _booted is None:
        data = tempfile.mkdtemp(prefix="miniature-data-")
        atexit.register(shutil.rmtree, data, ignore_errors=True)
        link_family(Path(data))
        return boot(data, **{"extension": PROBE, "page": True, **flags})
    _booted.add_extension(PROBE)
    return _booted
