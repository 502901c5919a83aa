"""Print how much of our code the tests ran, by room of lib_instantstyle. Reads `.coverage`."""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).parents[1]
FIELDS = ("num_statements", "missing_lines", "num_branches", "missing_branches")


def main() -> None:
    measured = Coverage(data_file=ROOT / ".coverage", config_file=ROOT / "pyproject.toml")
    measured.load()
    target = ROOT / "build" / "coverage.json"
    target.parent.mkdir(exist_ok=True)
    measured.json_report(outfile=str(target))
    rooms: dict[str, list[int]] = defaultdict(lambda: [0] * len(FIELDS))
    files = []
    for name, entry in json.loads(target.read_text(encoding="utf8"))["files"].items():
        summary = entry["summary"]
        parts = Path(name).parts
        room = parts[1] if len(parts) > 2 else "lib_instantstyle"
        for i, field in enumerate(FIELDS):
            rooms[room][i] += summary[field]
            rooms["all"][i] += summary[field]
        files.append((summary["percent_covered"], name, entry["missing_lines"]))
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
            f"{room:<18}{lines:>7}{_share(lines, missed):>8}{branches:>10}"
            f"{_share(branches, unseen):>8}",
            file=text,
        )
    return text.getvalue()


def _share(count: int, missed: int) -> str:
    return f"{100 * (count - missed) / count:.1f} %" if count else "-"


if __name__ == "__main__":
    main()
