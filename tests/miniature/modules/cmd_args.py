"""Command line flags. Those of A1111 that reach an extension, plus `--extension` and `--family`."""

from __future__ import annotations

import argparse
from pathlib import Path

from modules.paths_internal import data_path, models_path, normalized_filepath

from tests.miniature.flavour import FORGE, flavour

parser = argparse.ArgumentParser(
    prog="python -m tests.miniature",
    description="A miniature of AUTOMATIC1111's WebUI with the extension loaded.",
)


def _switches(*names: str) -> None:
    for name in names:
        parser.add_argument(name, action="store_true")


def _file(name: str, default: str | Path | None = None) -> None:
    text = None if default is None else str(default)
    parser.add_argument(name, type=normalized_filepath, default=text)


# only here
parser.add_argument(
    "--extension",
    action="append",
    default=[],
    metavar="[NAME=]PATH",
    help="folder of an extension to load; the name defaults to the folder's",
)
parser.add_argument(
    "--family",
    type=normalized_filepath,
    default=None,
    help="folder with models/ made of tiny random weights; made in the data folder if missing",
)
# of the built-in Lora extension, which adds them before anything else is loaded
_file("--lora-dir", Path(models_path) / "Lora")
_file("--lyco-dir-backcompat", Path(models_path) / "LyCORIS")
parser.add_argument("--threads", type=int, default=1, help="threads torch may use")
parser.add_argument(
    "--short-settings",
    action="store_true",
    help="draw the settings of extensions alone; each of the others is a request of the page's",
)

# A1111's
_file("--data-dir", data_path)
_file("--models-dir")
_file("--ckpt", Path(data_path) / "model.ckpt")
_file("--ckpt-dir")
_file("--vae-dir")
_file("--clip-models-path")
_file("--embeddings-dir", Path(data_path) / "embeddings")
_file("--hypernetwork-dir", Path(models_path) / "hypernetworks")
_file("--localizations-dir", Path(data_path) / "localizations")
_file("--ui-config-file", Path(data_path) / "ui-config.json")
_file("--ui-settings-file", Path(data_path) / "config.json")
_switches("--no-half", "--no-half-vae", "--medvram", "--medvram-sdxl", "--lowvram", "--lowram")
_switches("--no-hashing", "--disable-safe-unpickle", "--skip-load-model-at-start")
_switches("--xformers", "--opt-split-attention", "--opt-sub-quad-attention")
_switches("--opt-split-attention-invokeai", "--opt-split-attention-v1", "--opt-sdp-attention")
_switches("--opt-sdp-no-mem-attention", "--disable-opt-split-attention")
_switches("--share", "--listen", "--api", "--nowebui", "--api-log", "--api-server-stop")
_switches("--hide-ui-dir-config", "--freeze-settings", "--no-gradio-queue", "--no-prompt-history")
_switches("--enable-insecure-extension-access", "--disable-all-extensions")
_switches("--disable-extra-extensions", "--use-textbox-seed", "--enable-console-prompts")
_switches("--autolaunch", "--gradio-debug", "--no-progressbar-hiding", "--allow-code")
if flavour() == FORGE:
    _switches("--unet-in-fp16")
parser.add_argument("--precision", choices=["full", "half", "autocast"], default="autocast")
parser.add_argument("--use-cpu", nargs="+", type=str.lower, default=[])
parser.add_argument("--freeze-settings-in-sections", default=None)
parser.add_argument("--freeze-specific-settings", default=None)
parser.add_argument("--styles-file", action="append", default=[])
parser.add_argument("--gradio-allowed-path", action="append", default=[data_path])
parser.add_argument("--gradio-auth", default=None)
parser.add_argument("--api-auth", default=None)
parser.add_argument("--server-name", default=None)
parser.add_argument("--port", type=int, default=None)
parser.add_argument("--device-id", default=None)
parser.add_argument("--ngrok", default=None)
parser.add_argument("--theme", default=None)
parser.add_argument("--subpath", default=None)
parser.add_argument("--loglevel", default=None)
parser.add_argument("--timeout-keep-alive", type=int, default=30)
