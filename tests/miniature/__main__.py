"""`python -m tests.miniature`: starts the server. A1111's own flags work, see `--help`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.miniature import ROOT
from tests.miniature.flavour import folders


def enter(*, leave_repository: bool) -> None:
    """Makes `modules` importable. The repository itself leaves `sys.path` on request: under A1111
    an extension's packages are found only while its script is being imported.
    """
    if leave_repository:
        home = ROOT.parents[1]
        sys.path[:] = [x for x in sys.path if Path(x or ".").resolve() != home]
    ours = [str(folder) for folder in folders()]
    if ours[0] not in sys.path:
        sys.path[:0] = ours


def main() -> None:
    if "--family" in sys.argv and "--models-dir" not in sys.argv:
        family = sys.argv[sys.argv.index("--family") + 1]
        sys.argv += ["--models-dir", str(Path(family) / "models")]
    enter(leave_repository=True)
    from modules import initialize

    initialize.imports()
    initialize.initialize()
    import webui
    from modules import host
    from modules.shared_cmd_options import cmd_opts

    host.run(webui.api_only if cmd_opts.nowebui else webui.webui)


if __name__ == "__main__":
    main()
