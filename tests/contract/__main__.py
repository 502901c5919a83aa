"""Compare the table with WebUIs, or take it anew from them.

python -m tests.contract WEBUI [WEBUI ...]       what differs; the WebUI is told by its files
python -m tests.contract --write WEBUI [...]     put the facts of these WebUIs into the table
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.contract.table import PARTS, Table
from tests.contract.tree import Tree


def which(root: Path) -> str:
    """The WebUI that a folder holds."""
    if not (root / "modules" / "scripts.py").exists():
        raise SystemExit(f"{root} is not the folder of a WebUI: it has no modules/scripts.py")
    if (root / "backend").is_dir():
        version = (root / "modules_forge" / "forge_version.py").read_text(encoding="utf8")
        return next((name for name in ("neo", "ersatz") if name in version), "forge")
    if not (root / "ldm_patched").is_dir():
        return "a1111"
    version = (root / "modules_forge" / "forge_version.py").read_text(encoding="utf8")
    return "classic" if "classic" in version else "reforge"


def report(table: Table, host: str, root: Path) -> int:
    """Print what differs; returns how much does."""
    about = table.hosts[host]
    lines = list(table.compare(Tree(root), host))
    differences = [x for x in lines if "not checked" not in x]
    checked = sum(len(table.content[part]) for part in PARTS) - (len(lines) - len(differences))
    print(f"{about['name']} in {root}, the table is of {about['version']} ({about['commit'][:8]}):")
    print(f"  {checked} names checked, {len(differences)} differ")
    print(*(f"  {line}\n" for line in lines), sep="", end="")
    return len(differences)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.contract", description=__doc__.splitlines()[0])
    parser.add_argument("webui", nargs="+", type=Path)
    parser.add_argument("--write", action="store_true", help="renew the table from these folders")
    arguments = parser.parse_args()
    folders = {which(folder): folder for folder in arguments.webui}
    table = Table()
    if arguments.write:
        table = table.renewed({host: Tree(folder) for host, folder in folders.items()})
        table.write()
    return min(1, sum([report(table, host, folder) for host, folder in folders.items()]))


if __name__ == "__main__":
    raise SystemExit(main())
