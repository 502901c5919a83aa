"""A pytest plugin that writes what the scenarios did, with their pictures, for people to look at.

    python -m pytest -p tests.webui.report --webui-report FOLDER tests/webui tests/browser

FOLDER/index.html has one row for each scenario: result, seconds, why it was skipped or failed, and
the pictures it made.
"""

from __future__ import annotations

import html
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from tests.webui import gallery

ROOT = Path(__file__).parents[2]
MOST_PICTURES = 12  # of one scenario; the same picture is shown once
WIDEST = 900  # screenshots are scaled down to this
PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }}
table {{ border-collapse: collapse; width: 100% }}
td, th {{ border-top: 1px solid #ccc; padding: .4em .6em; text-align: left; vertical-align: top }}
.passed {{ color: #176d2a }} .failed {{ color: #b00020; font-weight: bold }}
.skipped {{ color: #8a6100 }}
pre {{ white-space: pre-wrap; margin: 0; max-width: 60em }}
figure {{ display: inline-block; margin: 0 .6em .4em 0; max-width: 16em; vertical-align: top }}
figcaption {{ font-size: 11px; color: #555 }} img {{ max-width: 100%; min-width: 64px }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
<table><tr><th>scenario<th>result<th>seconds<th>pictures, reason</tr>
{rows}
</table></html>
"""


@dataclass
class Row:
    """One scenario."""

    name: str
    result: str = "passed"
    seconds: float = 0.0
    reason: str = ""
    pictures: list[tuple[str, str]] = field(default_factory=list)  # (file, caption)

    def html(self) -> str:
        shown = "".join(
            f'<figure><a href="{file}"><img src="{file}" alt=""></a>'
            f"<figcaption>{html.escape(text)}</figcaption></figure>"
            for file, text in self.pictures
        )
        reason = f"<pre>{html.escape(self.reason)}</pre>" if self.reason else ""
        return (
            f'<tr><td>{html.escape(self.name)}<td class="{self.result}">{self.result}'
            f"<td>{self.seconds:.1f}<td>{reason}{shown}</tr>"
        )


class Report:
    """Collects the rows; the plugin object."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[str, Row] = {}
        self.started = time.time()
        (folder / "pictures").mkdir(parents=True, exist_ok=True)
        for old in (folder / "pictures").glob("*.jpg"):
            old.unlink()

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        gallery.made.clear()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo):
        report = (yield).get_result()
        row = self.rows.setdefault(item.nodeid, Row(_title(item)))
        row.seconds += report.duration
        if report.failed:
            row.result, row.reason = "failed", str(call.excinfo.exconly())[:2000]
        elif report.skipped:
            row.result, row.reason = "skipped", str(call.excinfo.value)
        if report.when == "teardown":
            row.pictures = self._keep(len(self.rows))

    def _keep(self, number: int) -> list[tuple[str, str]]:
        """Write the scenario's pictures, each once; what is left out is said."""
        unlike: dict[bytes, tuple[str, Image.Image]] = {}
        for text, image in gallery.made:
            unlike.setdefault(image.tobytes(), (text, image))
        kept = []
        for i, (text, image) in enumerate(list(unlike.values())[:MOST_PICTURES]):
            file = f"pictures/{number:03}-{i:02}.jpg"
            small = image.convert("RGB")
            small.thumbnail((WIDEST, 4 * WIDEST))
            small.save(self.folder / file, quality=88)
            kept.append((file, f"{text}; {image.width}×{image.height}"))
        if len(unlike) > MOST_PICTURES and kept:
            file, text = kept[-1]
            kept[-1] = (file, f"{text} (and {len(unlike) - MOST_PICTURES} more)")
        return kept

    def pytest_sessionfinish(self) -> None:
        rows = list(self.rows.values())
        counts = {
            result: sum(row.result == result for row in rows)
            for result in ("passed", "failed", "skipped")
        }
        told = ", ".join(f"{count} {result}" for result, count in counts.items())
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.started))
        page = PAGE.format(
            title=html.escape(f"InstantStyle in {host()}"),
            summary=f"{len(rows)} scenarios: {told}; {time.time() - self.started:.0f} s; {day}",
            rows="\n".join(row.html() for row in rows),
        )
        (self.folder / "index.html").write_text(page, encoding="utf8")

    def pytest_terminal_summary(self, terminalreporter) -> None:
        terminalreporter.write_line(f"report with pictures: {self.folder / 'index.html'}")


def host() -> str:
    """Name and version of the WebUI under test."""
    version = next(iter(gallery.versions), "of unknown version")
    folder = os.environ.get("INSTANTSTYLE_WEBUI")
    if os.environ.get("INSTANTSTYLE_WEBUI_URL"):
        return f"the WebUI at {os.environ['INSTANTSTYLE_WEBUI_URL']}, {version}"
    if not folder:
        return f"the miniature WebUI, {version}"
    from tests.contract.__main__ import which
    from tests.contract.table import Table

    return f"{Table().hosts[which(Path(folder))]['name']} {version}"


def _title(item: pytest.Item) -> str:
    """ "webui/test_generation: a style changes the picture [img2img-tiny_sdxl]"."""
    file, _, name = item.nodeid.partition("::")
    words, bracket, case = name.partition("[")
    words = words.removeprefix("test_").replace("_", " ")
    return f"{file.removeprefix('tests/').removesuffix('.py')}: {words} {bracket}{case}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--webui-report", metavar="FOLDER", help="write a report with pictures there")


def pytest_configure(config: pytest.Config) -> None:
    folder = config.getoption("--webui-report")
    if folder:
        config.pluginmanager.register(Report(Path(folder)), "webui-report")
