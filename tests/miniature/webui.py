"""The server: page and API on one port, or the API alone, until it is told to stop."""

from __future__ import annotations

import os
import time
from pathlib import Path

from modules import timer
from modules.timer import startup_timer

from tests.miniature.flavour import folders

EVERYWHERE = {True: "0.0.0.0", False: None}  # noqa: S104


def create_api(app):
    from modules.api.api import Api
    from modules.call_queue import queue_lock

    return Api(app, queue_lock)


def announce(address: str) -> None:
    print(f"Startup time: {startup_timer.summary()}.", flush=True)
    print(f"The miniature WebUI is ready: {address}", flush=True)


def _drop_cors(app) -> None:
    """Gradio lets every site call the page; A1111 takes that back."""
    app.user_middleware = [x for x in app.user_middleware if x.cls.__name__ != "CORSMiddleware"]
    app.middleware_stack = None


def api_only_app():
    """The application of `--nowebui`: `before_ui` comes after the API, as in A1111."""
    from fastapi import FastAPI
    from modules import script_callbacks

    app = FastAPI()
    api = create_api(app)
    script_callbacks.before_ui_callback()
    script_callbacks.app_started_callback(None, app)
    return app, api


def api_only() -> None:
    import threading

    from modules.shared_cmd_options import cmd_opts

    api = api_only_app()[1]
    port = cmd_opts.port or 7861

    def announce_when_listening() -> None:
        import socket

        for _ in range(600):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    announce(f"http://127.0.0.1:{port}")
                    return
            time.sleep(0.05)

    threading.Thread(target=announce_when_listening, daemon=True).start()
    api.launch(cmd_opts.server_name, port)


def create_page():
    """Builds the page's Blocks, with `before_ui` first."""
    from modules import script_callbacks, shared, ui

    script_callbacks.before_ui_callback()
    startup_timer.record("scripts before_ui_callback")
    shared.demo = ui.create_ui()
    startup_timer.record("create ui")
    return shared.demo


def allowed_paths() -> list[str]:
    from modules import extensions, paths, shared

    return [
        *shared.cmd_opts.gradio_allowed_path,
        paths.data_path,
        *(str(folder) for folder in folders()),
        *(x.path for x in extensions.active()),
    ]


def _auth() -> list[tuple] | None:
    from modules.shared_cmd_options import cmd_opts

    pairs = (cmd_opts.gradio_auth or "").split(",")
    return [tuple(x.strip().split(":", 1)) for x in pairs if x.strip()] or None


def webui() -> None:
    from modules import (
        initialize,
        paths,
        progress,
        script_callbacks,
        shared,
        ui,
        ui_extra_networks,
    )
    from modules.shared_cmd_options import cmd_opts

    os.environ.setdefault("GRADIO_TEMP_DIR", str(Path(paths.data_path) / "tmp" / "gradio"))
    while True:
        demo = create_page()
        if not cmd_opts.no_gradio_queue:
            demo.queue(64)
        app, local_url, _ = demo.launch(
            server_name=cmd_opts.server_name or EVERYWHERE[cmd_opts.listen],
            server_port=cmd_opts.port,
            auth=_auth(),
            inbrowser=False,
            prevent_thread_lock=True,
            allowed_paths=allowed_paths(),
            show_api=False,
            quiet=True,
            app_kwargs={"docs_url": "/docs", "redoc_url": "/redoc"},
        )
        _drop_cors(app)
        progress.setup_progress_api(app)
        ui.setup_ui_api(app)
        ui_extra_networks.add_pages_to_demo(app)
        create_api(app)
        startup_timer.record("add APIs")
        script_callbacks.app_started_callback(demo, app)
        timer.startup_record = startup_timer.dump()
        announce(local_url.rstrip("/"))

        command = None
        while command not in ("stop", "restart"):
            try:
                command = shared.state.wait_for_server_command(timeout=5)
            except KeyboardInterrupt:
                command = "stop"
        demo.close()
        if command == "stop":
            return
        time.sleep(0.5)
        startup_timer.reset()
        reload(initialize)


def reload(initialize) -> None:
    """Between the old page and the new one."""
    from modules import script_callbacks

    script_callbacks.app_reload_callback()
    script_callbacks.script_unloaded_callback()
    initialize.initialize_rest(reload_script_modules=True)
