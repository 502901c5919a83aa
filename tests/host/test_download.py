"""References behind addresses: only where the WebUI's settings allow it, and never without end."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.host.generations import PICTURES, UNIT, style

COFFEE = (PICTURES / "coffee.jpg").read_bytes()
pytestmark = pytest.mark.usefixtures("no_proxies")


class Site(BaseHTTPRequestHandler):
    """A picture, a redirect to it, one that never ends, and one that is none."""

    asked: list[str]

    def do_GET(self):  # named by the standard library
        type(self).asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path[4:])
            self.end_headers()
            return
        self.send_response(404 if self.path == "/missing" else 200)
        self.end_headers()
        if self.path == "/endless":
            while True:
                try:
                    self.wfile.write(bytes(2**16))
                except OSError:
                    return
        self.wfile.write(COFFEE if self.path == "/coffee.jpg" else b"<svg/>")

    def log_message(self, *args):
        pass


@contextmanager
def site():
    Site.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def allow(webui, local):
    webui.shared.opts.data.update(api_enable_requests=True, api_forbid_local_requests=not local)


def test_a_picture_behind_an_address_is_the_same_as_its_base64(webui):
    allow(webui, local=True)
    with site() as url:
        by_address = webui.txt2img(**style({"image": f"{url}/coffee.jpg"}))
        by_redirect = webui.txt2img(**style({"image": f"{url}/to/{url}/coffee.jpg"}))
    expected = webui.txt2img(**style(UNIT)).png
    assert by_address.png == by_redirect.png == expected


def test_no_request_where_requests_are_off(webui):
    allow(webui, local=True)
    webui.shared.opts.data["api_enable_requests"] = False
    with site() as url:
        answer = webui.txt2img(expect=422, **style({"image": f"{url}/coffee.jpg"}))
        assert Site.asked == []
    assert "requests are off in Settings > API" in answer.body["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "127.1"])
def test_local_addresses_are_asked_nothing_where_they_are_forbidden(webui, host):
    allow(webui, local=False)
    with site() as url:
        address = url.replace("127.0.0.1", host)
        answer = webui.txt2img(expect=422, **style({"image": f"{address}/coffee.jpg"}))
        assert Site.asked == []
    assert "could not be read" in answer.body["detail"]


def test_a_redirect_from_outside_to_a_local_address_is_not_followed(webui, monkeypatch):
    from lib_instantstyle.hosts import fetch

    allow(webui, local=False)
    with site() as url:
        looked = []

        def first_is_public(address):
            looked.append(address)
            if len(looked) > 1:
                raise fetch._RefusedError("local addresses are off in Settings > API")

        monkeypatch.setattr(fetch, "_refuse_local", first_is_public)
        answer = webui.txt2img(expect=422, **style({"image": f"{url}/to/{url}/coffee.jpg"}))
        assert [path for path in Site.asked if path == "/coffee.jpg"] == []
    assert "local addresses are off" in answer.body["detail"]


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2001:4860:4860::8888", True), ("127.0.0.1", False), ("::1", False),
        ("10.1.2.3", False), ("192.168.0.1", False), ("169.254.169.254", False), ("0.1.2.3", False),
        ("fe80::1%eth0", False), ("::ffff:127.0.0.1", False), ("100.64.0.1", False),
    ],
)  # fmt: skip
def test_which_addresses_are_local(webui, address, public):
    from lib_instantstyle.hosts import fetch

    if public:
        fetch._refuse_local(address)
    else:
        with pytest.raises(fetch._RefusedError):
            fetch._refuse_local(address)


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/endless", "has more than"),
        ("/missing", "could not be read"),
        ("/drawing.svg", "cannot be read as a picture"),
        ("/to/file:///etc/passwd", "could not be read"),
        ("/to/ftp://127.0.0.1/a.png", "could not be read"),
    ],
)
def test_what_is_no_picture_is_refused(webui, monkeypatch, path, sentence):
    from lib_instantstyle import limits

    allow(webui, local=True)
    monkeypatch.setattr(limits, "PICTURE_BYTES", 2**20)
    with site() as url:
        answer = webui.txt2img(expect=422, **style({"image": f"{url}{path}"}))
    assert sentence in answer.body["detail"]
    assert "root:" not in answer.body["detail"]


@pytest.mark.parametrize("text", ["file:///etc/passwd", "ftp://localhost/a.png", "/etc/passwd"])
def test_other_schemes_and_paths_are_no_pictures(webui, text):
    allow(webui, local=True)
    answer = webui.txt2img(expect=422, **style({"image": text}))
    assert "picture" in answer.body["detail"]
