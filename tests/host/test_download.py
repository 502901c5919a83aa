"""References behind addresses: only where the WebUI's settings allow it, and never without end."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.host.generations import PICTURES, UNIT, style
from tests.unit.publisher import publisher
from tests.waiting import HANGS

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


@contextmanager
def listener():
    """A port that accepts and says nothing, and how many have come."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        server.setblocking(False)

        def connected():
            count = 0
            with suppress(BlockingIOError):
                while True:
                    server.accept()[0].close()
                    count += 1
            return count

        yield server.getsockname()[1], connected


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


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


SAME = "which could not be read (it is local, or does not answer); send the picture as base64 text."


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "127.1", "[::1]", "[::ffff:127.0.0.1]"]
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_local_addresses_are_asked_nothing_where_they_are_forbidden(webui, host, scheme):
    """Nothing is even connected to, and a closed port is answered as an open one."""
    allow(webui, local=False)
    with listener() as (port, connected):
        for number in (port, closed_port()):
            address = f"{scheme}://{host}:{number}/coffee.jpg"
            answer = webui.txt2img(expect=422, **style({"image": address}))
            assert answer.body["detail"] == f"unit 1: image is the address '{address}', {SAME}"
        assert connected() == 0


def test_what_cannot_be_reached_is_told_in_the_same_words(webui, monkeypatch):
    from lib_instantstyle.hosts import fetch

    allow(webui, local=False)
    monkeypatch.setattr(fetch, "is_public_address", lambda address: True)
    for host in (f"127.0.0.1:{closed_port()}", "name.invalid", "a..b", f"{'x' * 80}.invalid"):
        answer = webui.txt2img(expect=422, **style({"image": f"http://{host}/a.png"}))
        assert answer.body["detail"].endswith(SAME)


def test_a_redirect_from_outside_to_a_local_address_is_not_followed(webui, monkeypatch):
    from lib_instantstyle.hosts import fetch

    allow(webui, local=False)
    seen = []
    monkeypatch.setattr(
        fetch, "is_public_address", lambda address: seen.append(address) or len(seen) == 1
    )
    with site() as url, listener() as (port, connected):
        local = f"http://127.0.0.1:{port}/coffee.jpg"
        answer = webui.txt2img(expect=422, **style({"image": f"{url}/to/{local}"}))
        assert len(Site.asked) == 1 and connected() == 0
    assert answer.body["detail"].endswith(SAME)


@pytest.mark.parametrize("also", ["127.0.0.1", "::1"])
def test_a_name_is_looked_up_once_and_all_it_stands_for_is_checked(webui, monkeypatch, also):
    """A name of which one address is local, and one that means something else the second time."""
    from lib_instantstyle.files import network
    from lib_instantstyle.hosts import fetch

    answers = []
    monkeypatch.setattr(network.socket, "getaddrinfo", lambda *a: answers.pop(0))
    connected = []

    class Socket:
        def __init__(self, *kind):
            pass

        def connect(self, address):
            connected.append(address[0])
            raise ConnectionRefusedError

        def settimeout(self, seconds):
            assert 0 < seconds <= 30

        def close(self):
            pass

    monkeypatch.setattr(fetch.socket, "socket", Socket)
    allow(webui, local=False)

    def machine(address):
        return (2, 1, 6, "", (address, 80))

    public = machine("8.8.8.8")
    for found, asked in (([public, machine(also)], []), ([public], ["8.8.8.8"])):
        connected.clear()
        answers[:] = [found, [machine("127.0.0.1")], [machine("127.0.0.1")]]
        with pytest.raises(ValueError, match="it is local, or does not answer"):
            fetch.fetch("http://rebinding.test/a.png", 100, "image")
        assert connected == asked and len(answers) == 2


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2001:4860:4860::8888", True), ("127.0.0.1", False), ("::1", False),
        ("10.1.2.3", False), ("192.168.0.1", False), ("169.254.169.254", False), ("0.1.2.3", False),
        ("fe80::1%eth0", False), ("::ffff:127.0.0.1", False), ("100.64.0.1", False),
        ("::ffff:8.8.8.8", True), ("224.0.0.1", False), ("ff02::1", False), ("fc00::1", False),
        ("64:ff9b::808:808", True), ("64:ff9b::a01:203", False), ("2002:7f00:1::", False),
        ("2002:808:808::1", True), ("255.255.255.255", False), ("::", False),
    ],
)  # fmt: skip
def test_which_addresses_are_local(address, public):
    from lib_instantstyle.files.network import is_public_address

    assert is_public_address(address) == public


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


class Dawdler(BaseHTTPRequestHandler):
    """A little at a time, before each timeout, and without an end."""

    timeout = None
    pause = 0.05

    def do_GET(self):  # named by the standard library
        begun = time.monotonic()
        with suppress(OSError):
            if self.path.startswith("/around"):
                time.sleep(self.pause)
                self.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /around\r\n\r\n")
                return
            self.wfile.write(START[self.path])
            while time.monotonic() < begun + HANGS:
                self.wfile.write(DROP[self.path])
                self.wfile.flush()
                time.sleep(self.pause)

    def log_message(self, *args):
        pass


OK = b"HTTP/1.1 200 OK\r\n"
START = {
    "/status": b"HTTP/1.1 2",
    "/headers": OK,
    "/one": OK + b"X: ",
    "/body": OK + b"\r\n",
    "/chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n",
    "/trailer": OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n",
    "/continue": b"",
    "/redirect": b"HTTP/1.1 302 Found\r\nLocation: /redirect\r\nX: ",
}
DROP = dict.fromkeys(START, b"x") | {
    "/headers": b"X: y\r\n",
    "/chunks": b"1\r\nx\r\n",
    "/trailer": b"X: y\r\n",
    "/continue": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("path", [*START, "/around"])
def test_one_deadline_holds_for_all_of_it(webui, monkeypatch, path):
    from lib_instantstyle import limits
    from lib_instantstyle.hosts import fetch

    allow(webui, local=True)
    monkeypatch.setattr(limits, "ADDRESS_SECONDS", 0.4)
    monkeypatch.setattr(limits, "REDIRECTS", 10**6)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Dawdler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    begun = time.monotonic()
    try:
        with pytest.raises(ValueError, match=r"takes more than 0\.4 seconds|does not answer"):
            fetch.fetch(f"http://127.0.0.1:{server.server_port}{path}", 10**6, "image")
    finally:
        took = time.monotonic() - begun
        server.shutdown()
        server.server_close()
    assert took < HANGS  # the server goes on as long


def test_a_name_that_is_looked_up_for_ever_and_a_silent_tls_end_too(webui, monkeypatch):
    from lib_instantstyle import limits
    from lib_instantstyle.files import network
    from lib_instantstyle.hosts import fetch

    allow(webui, local=True)
    monkeypatch.setattr(limits, "ADDRESS_SECONDS", 0.3)
    with listener() as (port, _), pytest.raises(ValueError, match="takes more than"):
        fetch.fetch(f"https://127.0.0.1:{port}/a.png", 100, "image")
    ended = threading.Event()
    monkeypatch.setattr(network.socket, "getaddrinfo", lambda *a: [ended.wait(HANGS)][1:])
    begun = time.monotonic()
    with pytest.raises(ValueError, match="it is local, or does not answer"):
        fetch.fetch("http://slow.test/a.png", 100, "image")
    assert time.monotonic() - begun < HANGS
    ended.set()


def test_a_picture_that_breaks_off_is_told_from_a_damaged_one(webui):
    from lib_instantstyle.hosts import fetch

    allow(webui, local=True)
    with publisher(COFFEE, breaks=[5000, None]) as cut:
        address = f"{cut.url}/coffee.jpg"
        answer = webui.txt2img(expect=422, **style({"image": address}))
        assert "which could not be read (it breaks off before its end)" in answer.body["detail"]
        assert fetch.fetch(address, 10**6, "image") == COFFEE


def test_many_redirects_are_not_followed(webui):
    from lib_instantstyle import limits
    from lib_instantstyle.hosts import fetch

    allow(webui, local=True)
    with site() as url:
        far = f"{url}/coffee.jpg"
        for _ in range(limits.REDIRECTS):
            far = f"{url}/to/{far}"
        assert fetch.fetch(far, 10**6, "image") == COFFEE
        with pytest.raises(ValueError, match=r"it is moved more than 5 times"):
            fetch.fetch(f"{url}/to/{far}", 10**6, "image")
