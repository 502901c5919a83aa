"""Print how much of our code the tests ran, by room of lib_instantstyle.

    python -m tests.coverage_by_room FOLDER

reads what tests.counted_lines left in FOLDER.
"""

from __future__ import annotations

import io
import json
import sys
from collections import defaultdict
from pathlib import Path

from slipcover import Slipcover, merge_coverage

from tests.counted_lines import PACKAGE

ROOT = Path(__file__).parents[1]
FIELDS = ("covered_lines", "missing_lines", "covered_branches", "missing_branches")


def main(folder: str) -> None:
    counts = sorted(Path(folder).rglob("*.json"))
    if not counts:
        raise SystemExit(f"no lines were counted: {folder} is empty")
    # Begins with every file of ours, also those that no test imports.
    together = Slipcover(branch=True, source=[str(ROOT / PACKAGE)]).get_coverage()
    for file in counts:
        merge_coverage(together, json.loads(file.read_text(encoding="utf8")))
    rooms: dict[str, list[int]] = defaultdict(lambda: [0] * len(FIELDS))
    files = []
    for name, entry in together["files"].items():
        parts = Path(name).parts
        parts = parts[parts.index(PACKAGE) :]
        room = parts[1] if len(parts) > 2 else PACKAGE
        for i, field in enumerate(FIELDS):
            rooms[room][i] += entry["summary"][field]
            rooms["all"][i] += entry["summary"][field]
        files.append((entry["summary"]["percent_covered"], "/".join(parts), entry["missing_lines"]))
    print(table(rooms))
    for percent, name, lines in sorted(files)[:5]:
        if percent < 90:
            print(f"  {percent:3.0f} %  {name}: lines {', '.join(map(str, lines[:20]))}")


def table(rooms: dict[str, list[int]]) -> str:
    """Statements and branches that were run, in per cent."""
    text = io.StringIO()
    print(f"{'room':<18}{'lines':>7}{'run':>8}{'branches':>10}{'run':>8}", file=text)
    for room in sorted(rooms, key=lambda x: (x == "all", x)):
        lines, missed, branches, unseen = rooms[room]
        print(
            f"{room:<18}{lines + missed:>7}{_share(lines, missed):>8}{branches + unseen:>10}"
            f"{_share(branches, unseen):>8}",
            file=text,
        )
    return text.getvalue()


def _share(seen: int, missed: int) -> str:
    return f"{100 * seen / (seen + missed):.1f} %" if seen + missed else "-"


if __name__ == "__main__":
    main(*sys.argv[1:])
