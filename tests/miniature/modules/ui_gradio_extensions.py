"""Puts the scripts and style sheets of the WebUI and the extensions into the page."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from modules import scripts, shared, util
from modules.paths import data_path, script_path


def webpath(fn: str) -> str:
    return f"file={util.truncate_path(fn)}?{Path(fn).stat().st_mtime}"


def javascript_html() -> str:
    lines = ['<script type="text/javascript">window.localization = {};</script>']

    def add(kind: str, path: str) -> None:
        lines.append(f'<script type="{kind}" src="{webpath(path)}"></script>')

    add("text/javascript", str(Path(script_path) / "script.js"))
    for script in scripts.list_scripts("javascript", ".js"):
        add("text/javascript", script.path)
    for script in scripts.list_scripts("javascript", ".mjs"):
        add("module", script.path)
    if shared.cmd_opts.theme:
        theme = shared.cmd_opts.theme
        lines.append(f'<script type="text/javascript">set_theme("{theme}");</script>')
    return "\n".join(lines) + "\n"


def css_html() -> str:
    files = scripts.list_files_with_name("style.css")
    user = Path(data_path) / "user.css"
    if user.exists():
        files.append(str(user))
    return "\n".join(
        f'<link rel="stylesheet" property="stylesheet" href="{webpath(x)}">' for x in files
    )


def reload_javascript() -> None:
    js, css = javascript_html(), css_html()

    def template_response(*args, **kwargs):
        res = shared.GradioTemplateResponseOriginal(*args, **kwargs)
        head = f'{js}<meta name="referrer" content="no-referrer"/></head>'
        res.body = res.body.replace(b"</head>", head.encode("utf8"))
        res.body = res.body.replace(b"</body>", f"{css}</body>".encode())
        res.init_headers()
        return res

    gr.routes.templates.TemplateResponse = template_response


if not hasattr(shared, "GradioTemplateResponseOriginal"):
    shared.GradioTemplateResponseOriginal = gr.routes.templates.TemplateResponse
