"""Cards that insert tags into the prompt; the miniature has only the pages of extensions."""

from __future__ import annotations

import html
import json
import os
import urllib.parse
from pathlib import Path

import gradio as gr
from modules import errors

extra_pages: list[ExtraNetworksPage] = []
allowed_dirs: set[str] = set()
_PICTURES = ("png", "jpg", "jpeg", "webp", "gif")


def register_page(page: ExtraNetworksPage) -> None:
    extra_pages.append(page)
    allowed_dirs.clear()
    for each in extra_pages:
        allowed_dirs.update(each.allowed_directories_for_previews())


def initialize() -> None:
    extra_pages.clear()


def register_default_pages() -> None:
    """The miniature has no textual inversions, hypernetworks or cards of checkpoints."""


def fetch_file(filename: str = ""):
    from fastapi.exceptions import HTTPException
    from starlette.responses import FileResponse

    path = Path(filename).absolute()
    if not path.is_file():
        raise HTTPException(status_code=404, detail="File not found")
    if not any(Path(x).absolute() in path.parents for x in allowed_dirs):
        raise ValueError(f"File cannot be fetched: {filename}.")
    if path.suffix.lower()[1:] not in _PICTURES:
        raise ValueError(f"File cannot be fetched: {filename}.")
    return FileResponse(filename, headers={"Accept-Ranges": "bytes"})


def get_metadata(page: str = "", item: str = ""):
    from starlette.responses import JSONResponse

    found = next((x for x in extra_pages if x.name == page), None)
    metadata = found.metadata.get(item) if found else None
    if metadata is None:
        return JSONResponse({})
    return JSONResponse({"metadata": json.dumps(metadata, indent=4, ensure_ascii=False)})


def add_pages_to_demo(app) -> None:
    app.add_api_route("/sd_extra_networks/thumb", fetch_file, methods=["GET"])
    app.add_api_route("/sd_extra_networks/metadata", get_metadata, methods=["GET"])


def quote_js(s: str) -> str:
    escaped = s.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


class ExtraNetworksPage:
    """Base of an extension's page: it lists items, this makes cards of them."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.name = title.lower()
        self.extra_networks_tabname = self.name.replace(" ", "_")
        self.allow_prompt = True
        self.allow_negative_prompt = False
        self.metadata: dict[str, dict] = {}
        self.items: dict[str, dict] = {}

    def refresh(self) -> None:
        pass

    def link_preview(self, filename: str) -> str:
        quoted = urllib.parse.quote(filename.replace("\\", "/"))
        mtime = Path(filename).stat().st_mtime
        return f"./sd_extra_networks/thumb?filename={quoted}&mtime={mtime}"

    def search_terms_from_path(self, filename: str, possible_directories=None) -> str:
        folders = possible_directories or self.allowed_directories_for_previews()
        for folder in folders:
            parent = str(Path(folder).absolute().parent)
            if str(Path(filename).absolute()).startswith(parent):
                return os.path.relpath(filename, parent)
        return ""

    def create_item_html(self, tabname: str, item: dict) -> str:
        preview = item.get("preview")
        picture = f'<img src="{html.escape(preview)}" class="preview">' if preview else ""
        negative = item.get("negative_prompt", "''")
        allow_negative = str(self.allow_negative_prompt).lower()
        clicked = f"cardClicked('{tabname}', {item['prompt']}, {negative}, {allow_negative});"
        sort_keys = " ".join(
            f'data-sort-{k}="{html.escape(str(v))}"' for k, v in item.get("sort_keys", {}).items()
        )
        assert item["local_preview"] and item["filename"]
        return (
            f'<div class="card" onclick="{html.escape(clicked)}" '
            f'data-name="{html.escape(item["name"])}" {sort_keys}>{picture}'
            f'<div class="actions"><span class="name">{html.escape(item["name"])}</span> '
            f'<span class="description">{html.escape(item.get("description") or "")}</span></div>'
            "</div>"
        )

    def create_html(self, tabname: str, *, empty: bool = False) -> str:
        self.items = {} if empty else {x["name"]: x for x in self.list_items()}
        self.metadata = {k: v["metadata"] for k, v in self.items.items() if v.get("metadata")}
        cards = "".join(self.create_item_html(tabname, item) for item in self.items.values())
        return f'<div class="extra-network-cards">{cards or "Nothing here."}</div>'

    def create_item(self, name, index=None):
        raise NotImplementedError

    def list_items(self):
        raise NotImplementedError

    def allowed_directories_for_previews(self) -> list[str]:
        return []

    def get_sort_keys(self, path: str) -> dict:
        pth = Path(path)
        status = pth.stat() if pth.exists() else None
        return {
            "date_created": int(status.st_mtime) if status else 0,
            "date_modified": int(status.st_ctime) if status else 0,
            "name": pth.name.lower(),
            "path": str(pth).lower(),
        }

    def find_preview(self, path: str) -> str | None:
        for ending in _PICTURES:
            for file in (f"{path}.{ending}", f"{path}.preview.{ending}"):
                if Path(file).exists():
                    return self.link_preview(file)
        return None


def create_ui(interface, unrelated_tabs, tabname: str) -> None:
    """One tab beside "Generation" for each page. An error in one of them is displayed."""

    def contents() -> list[str]:
        found = []
        for page in extra_pages:
            try:
                found.append(page.create_html(tabname))
            except Exception as e:
                errors.display(e, f"creating the cards of {page.title}")
                found.append("")
        return found

    elements, buttons = [], []
    for page in extra_pages:
        prefix = f"{tabname}_{page.extra_networks_tabname}"
        with gr.Tab(page.title, elem_id=prefix, elem_classes=["extra-page"]):
            elements.append(gr.HTML(page.create_html(tabname, empty=True)))
            buttons.append(gr.Button("Refresh", elem_id=f"{prefix}_extra_refresh"))
    for button in buttons:
        button.click(fn=contents, inputs=[], outputs=elements)
    if elements:
        interface.load(fn=contents, inputs=[], outputs=elements)
