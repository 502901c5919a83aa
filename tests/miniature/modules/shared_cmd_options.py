"""Parses the command line, after every extension's preload.py had its say."""

from __future__ import annotations

import itertools
import os
import sys

from modules import cmd_args, script_loading
from modules.paths_internal import extensions_builtin_dir, extensions_dir

parser = cmd_args.parser


def extensions_from_argv(argv: list[str]) -> list[str]:
    """`--extension` is read before argparse runs: a preload.py may still add flags."""
    values = [b for a, b in itertools.pairwise(argv) if a == "--extension"]
    return values + [a.split("=", 1)[1] for a in argv if a.startswith("--extension=")]


script_loading.preload_extensions(extensions_dir, parser)
for _spec in extensions_from_argv(sys.argv):
    script_loading.preload_extension(script_loading.split_name(_spec)[1], parser)
script_loading.preload_extensions(extensions_builtin_dir, parser)

if os.environ.get("IGNORE_CMD_ARGS_ERRORS") is None:
    cmd_opts = parser.parse_args()
else:
    cmd_opts, _ = parser.parse_known_args()

cmd_opts.webui_is_non_local = any(
    [cmd_opts.share, cmd_opts.listen, cmd_opts.ngrok, cmd_opts.server_name]
)
cmd_opts.disable_extension_access = (
    cmd_opts.webui_is_non_local and not cmd_opts.enable_insecure_extension_access
)
