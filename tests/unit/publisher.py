"""A server of model files that behaves, or misbehaves in one way."""

from __future__ import annotations

import hashlib
import math
import random
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from lib_instantstyle.models.published import PublishedFile

CONTENT = random.Random(1).randbytes(3_000_000)


class Gate:
    """Lets through as many pieces as it is told, or all that come."""

    def __init__(self):
        self._changed = threading.Condition()
        self._left = 0

    def let(self, pieces):
        with self._changed:
            self._left += pieces
            self._changed.notify_all()

    def open(self):
        self.let(math.inf)

    def wait(self):
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0)
            self._left -= 1


class Publisher(BaseHTTPRequestHandler):
    """Answers every path with CONTENT, as the attributes of its server tell."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):  # named by the standard library
        site = self.server
        first = self._first() if site.knows_parts else 0
        site.asked.append(self.headers.get("Range"))
        if site.redirects and not self.path.startswith("/elsewhere"):
            self._head(302, {"Location": f"/elsewhere{self.path}", "Content-Length": "0"})
            return
        if site.status != 200:
            self._head(site.status, {"Content-Length": "0"})
            return
        body = site.content[first:]
        headers = {"Content-Type": site.kind}
        if site.says_length:
            headers["Content-Length"] = str(len(body) + site.lie)
        if first:
            end, shift = len(site.content) - 1, site.shift
            headers["Content-Range"] = f"bytes {first + shift}-{end}/{len(site.content)}"
        self.close_connection = True
        self._head(206 if first else 200, headers)
        broken = site.breaks.pop(0) if site.breaks else None
        self._send(body[:broken])

    def _send(self, body):
        site = self.server
        for start in range(0, len(body), site.piece):
            if site.gate is not None:
                site.gate.wait()
            time.sleep(site.delay)
            try:
                self.wfile.write(body[start : start + site.piece])
            except OSError:  # who asked has gone
                return
            site.sent += len(body[start : start + site.piece])

    def _first(self):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(asked.group(1)) if asked else 0

    def _head(self, status, headers):
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *args):
        pass


@contextmanager
def publisher(content=CONTENT, **behaviour):
    """The running server; `url` is its address, `asked` the Range header of each request."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Publisher)
    server.daemon_threads = True
    defaults = {
        "content": content, "asked": [], "sent": 0, "knows_parts": True, "redirects": False,
        "status": 200, "kind": "application/octet-stream", "says_length": True, "lie": 0,
        "shift": 0, "breaks": [], "piece": 2**16, "gate": None, "delay": 0,
    }  # fmt: skip
    for name, value in {**defaults, **behaviour}.items():
        setattr(server, name, value)
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        if server.gate is not None:
            server.gate.open()
        server.shutdown()
        server.server_close()


def published(site, content=CONTENT, name="model.safetensors"):
    """What `site` publishes, as the extension would know it."""
    digest = hashlib.sha256(content).hexdigest()
    return PublishedFile(name, "a model", f"{site.url}/{name}", len(content), digest, "Apache-2.0")
