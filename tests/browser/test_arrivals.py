"""Whatever arrives at a box for pictures is taken, or a line in the box says why it is not."""

import base64
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.browser.conftest import shoot
from tests.browser.person import (
    COFFEE,
    STARS,
    box,
    drop,
    generate,
    open_accordion,
    open_regions,
    pixels_at,
    small,
    wait_until,
    zone,
)

pytestmark = pytest.mark.usefixtures("sdxl")

ALLOWED = "Allowed is a picture file, or a picture that this WebUI shows."
# A transfer with files of given types and texts of given kinds, as the browser makes one.
TRANSFER = """([files, texts]) => {
    const transfer = new DataTransfer();
    for (const [name, type, data] of files) {
        const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
        transfer.items.add(new File([bytes], name, {type}));
    }
    for (const [kind, text] of Object.entries(texts)) transfer.setData(kind, text);
    return transfer;
}"""
EVENT = """([target, transfer, kind]) => target.dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", {clipboardData: transfer, bubbles: true, cancelable: true})
    : new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}))"""


def in_base64(data):
    return base64.b64encode(data).decode()


DATA_URL = "data:image/jpeg;base64," + in_base64(COFFEE.read_bytes())


def arrive(page, files=(), kind="drop", name="image", **texts):
    """Let these files or texts (their kinds with _ for /) arrive at a box."""
    given = [[file, type_, in_base64(data)] for file, type_, data in files]
    texts = {f"text/{key.replace('_', '-')}": text for key, text in texts.items()}
    transfer = page.evaluate_handle(TRANSFER, [given, texts])
    target = zone(page, name)
    if kind == "paste":
        target.locator("button:visible").first.focus()
    page.evaluate(EVENT, [target.element_handle(), transfer, kind])


def line(page, name="image"):
    """What the box says of what arrived last."""
    return zone(page, name).locator(".instantstyle-refused").inner_text()


def is_said(page, text, name="image"):
    assert wait_until(page, lambda: text in line(page, name)), (text, line(page, name))
    assert "\n" not in line(page, name)


def is_taken(page, data, name="image"):
    """The box holds one picture, that file, and says nothing."""
    held = box(page, name)
    assert wait_until(page, lambda: held.input_value() != ""), line(page, name)
    assert base64.b64decode(held.input_value().split(",")[1]) == data
    assert line(page, name) == ""
    zone(page, name).locator(".instantstyle-clear").click()


@pytest.fixture
def opened(page):
    open_accordion(page)
    return page


@contextmanager
def another_site():
    """A site of another origin, and the paths that were asked of it."""
    asked = []

    class Site(BaseHTTPRequestHandler):
        def do_GET(self):  # named by the standard library
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Type", "image/jpeg")
            self.end_headers()
            self.wfile.write(COFFEE.read_bytes())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def test_a_picture_is_dragged_from_the_gallery_by_the_mouse(page):
    page.set_viewport_size({"width": 1500, "height": 2000})  # both are to be seen at once
    small(page)
    generate(page)
    open_accordion(page)
    picture = page.locator("#txt2img_gallery img").first
    shown = picture.get_attribute("src")
    picture.drag_to(zone(page))
    assert wait_until(page, lambda: box(page).input_value() != ""), line(page)
    assert pixels_at(page, box(page).input_value()) == pixels_at(page, shown)
    assert line(page) == ""


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_an_address_of_this_page_is_fetched(opened, kind):
    page, data = opened, COFFEE.read_bytes()
    page.route(
        re.compile("/file=.*jpg"), lambda route: route.fulfill(body=data, content_type="image/jpeg")
    )
    address = page.url.split("?")[0].rstrip("/") + "/file=a b/coffee.jpg".replace(" ", "%20")
    blob = page.evaluate(
        "async data => URL.createObjectURL(await (await fetch(data)).blob())", DATA_URL
    )
    for texts in (
        {"uri_list": f"# a comment\r\n{address}\r\n"},
        {"html": f'<meta charset="utf-8"><img src="{address}" onerror="alert(1)">'},
        {"html": f'<a href="/x"><img src="{address}"></a>', "uri_list": "https://example.com/x"},
        {"html": '<img src="https://example.com/t.png">', "uri_list": address},
        {"plain": f" {address}\n"},
        {"uri_list": blob},
        {"uri_list": DATA_URL},
        {"plain": DATA_URL},
    ):
        arrive(page, kind=kind, **texts)
        is_taken(page, data)


REFUSED = [
    ({"uri_list": "{own}/file=gone.png"}, "file=gone.png (answers 404)"),
    ({"uri_list": "{own}/file=broken.png"}, "file=broken.png (could not be fetched)"),
    ({"uri_list": "{own}/file=moved.png"}, "file=moved.png (could not be fetched)"),
    ({"uri_list": "{own}/file=page.png"}, "file=page.png (text/html)"),
    ({"uri_list": "{own}/file=none.png"}, "file=none.png (empty)"),
    ({"uri_list": "{own}/file=line.svg"}, "file=line.svg (image/svg+xml)"),
    ({"uri_list": "{own}/"}, "/ (text/html)"),
    ({"uri_list": "blob:{own}/0f0f0f0f-0000-4000-8000-000000000000"}, "(could not be fetched)"),
    ({"uri_list": "data:text/html,<b>x</b>"}, "the data URL (text/html)"),
    ({"uri_list": "file:///home/me/a.png"}, "a.png (no address that a page can read)"),
    ({"uri_list": "javascript:alert(1)"}, "javascript:alert(1) (no address that a page can read)"),
    ({"html": "<img src='{other}/a.jpg'>"}, "(another site is never asked; save the picture"),
    ({"uri_list": "{other}/a.jpg", "plain": "{other}/a.jpg"}, "another site is never asked"),
    ({"plain": "{other}/a.jpg"}, "another site is never asked"),
    ({"uri_list": "blob:{other}/0f0f"}, "another site is never asked"),
    ({"plain": "a cat\non a table"}, "\u201ca cat on a table\u201d (text)"),
    ({"html": "<p>nothing</p>"}, "what came (neither a file nor an address)"),
    ({}, "what came (neither a file nor an address)"),
]


def test_what_is_no_picture_of_this_page_is_said_and_nobody_else_is_asked(opened):
    page = opened
    own = page.url.split("?")[0].rstrip("/")
    answers = {
        "gone": {"status": 404, "body": "no", "content_type": "image/png"},
        "page": {"body": "<html>", "content_type": "text/html; charset=utf-8"},
        "none": {"body": "", "content_type": "image/png"},
        "line": {"body": "<svg/>", "content_type": "image/svg+xml"},
    }
    with another_site() as (other, asked):
        answers["moved"] = {"status": 302, "headers": {"Location": f"{other}/moved.jpg"}}

        def answer(route):
            name = re.search(r"file=(\w+)", route.request.url)[1]
            route.fulfill(**answers[name]) if name in answers else route.abort()

        page.route(re.compile("/file="), answer)
        for texts, sentence in REFUSED:
            filled = {key: text.format(own=own, other=other) for key, text in texts.items()}
            arrive(page, **filled)
            is_said(page, sentence)
            assert line(page).startswith("Not taken: ") and line(page).endswith(ALLOWED)
            assert box(page).input_value() == ""
        shoot(page, "refused-address")
        assert asked == []
    drop(page)  # what comes next takes the line away
    assert line(page) == ""


def test_a_file_of_unknown_type_goes_to_the_server(opened):
    heic = b"\0\0\0\x18ftypheic" + bytes(400_000)
    for type_ in ("", "application/octet-stream", "image/heic", "image/x-novel"):
        arrive(opened, [("photo.heic", type_, heic)])
        is_taken(opened, heic)
    small(opened)
    arrive(opened, [("photo.heic", "", heic)])
    assert wait_until(opened, lambda: box(opened).input_value() != "")
    _, error = generate(opened)
    assert "cannot be read as a picture (its format is unknown)" in error


def test_of_several_files_none_vanishes(opened):
    page, coffee = opened, COFFEE.read_bytes()
    picture, text = ("a.jpg", "image/jpeg", coffee), ("notes.txt", "text/plain", b"a note")
    arrive(page, [text])
    is_said(page, f"Not taken: notes.txt (text/plain). {ALLOWED}")
    arrive(page, [text, picture, ("none.png", "image/png", b"")])
    is_said(page, f"Not taken: notes.txt (text/plain), none.png (empty). {ALLOWED}")
    assert base64.b64decode(box(page).input_value().split(",")[1]) == coffee
    arrive(page, [text] * 9)
    is_said(page, "(text/plain), 6 more. Allowed")
    arrive(page, [picture] * 17)
    is_said(page, "2 left out: up to 16 pictures are allowed here.")
    assert len(json.loads(box(page).input_value())) == 16
    open_regions(page)
    arrive(page, [text, picture, ("b.jpg", "image/jpeg", STARS.read_bytes())], name="mask")
    is_said(page, "1 left out: one picture is allowed here.", "mask")
    assert base64.b64decode(box(page, "mask").input_value().split(",")[1]) == coffee
    zone(page, "mask").locator(".instantstyle-clear").click()
    assert "left out" not in line(page, "mask")
    shoot(page, "refused-files")


def test_a_chosen_file_is_held_to_the_same(opened, tmp_path):
    (tmp_path / "notes.txt").write_text("a note")
    zone(opened).locator("input[type=file]").set_input_files(tmp_path / "notes.txt")
    is_said(opened, "Not taken: notes.txt (text/plain).")


def drag_files(page, *paths):
    """Files and folders of this machine, dragged from outside of the browser."""
    zone(page).scroll_into_view_if_needed()
    place = zone(page).bounding_box()
    at = {"x": place["x"] + place["width"] / 2, "y": place["y"] + place["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    mouse = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        mouse.send("Input.dispatchDragEvent", {"type": kind, "data": data, **at})
    mouse.detach()


def test_a_folder_and_what_cannot_be_read_are_said(opened, tmp_path):
    (tmp_path / "holiday").mkdir()
    drag_files(opened, tmp_path / "holiday")
    is_said(opened, "Not taken: holiday (a folder).")
    drag_files(opened, tmp_path / "away.png")
    is_said(opened, "Not taken: away.png (")
    drag_files(opened, tmp_path / "holiday", COFFEE)
    is_said(opened, "Not taken: holiday (a folder).")
    assert base64.b64decode(box(opened).input_value().split(",")[1]) == COFFEE.read_bytes()
    zone(opened).locator(".instantstyle-clear").click()
    drag_files(opened, STARS)
    is_taken(opened, STARS.read_bytes())


def test_a_file_too_large_to_be_sent_is_said(opened):
    opened.evaluate(
        """target => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(70e6)], "model.safetensors"));
            target.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }""",
        zone(opened).element_handle(),
    )
    is_said(opened, "model.safetensors (has 70 MB, up to 67 MB are allowed)")


def test_text_pasted_into_a_weight_is_left_to_it(opened):
    drop(opened)
    drop(opened, STARS)
    weight = zone(opened).locator(".instantstyle-weight").nth(1)
    weight.focus()
    allowed = opened.evaluate(
        """() => {
            const clipboardData = new DataTransfer();
            clipboardData.setData("text/plain", "0.5");
            return document.activeElement.dispatchEvent(
                new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
        }"""
    )
    assert allowed and line(opened) == ""
