"""Pictures behind addresses, within what the WebUI's settings for its API allow.

The WebUI's own helper looks at an address before the request only, follows redirects wherever they
lead, reads without an end, and opens every format that Pillow knows. This one looks at the machine
that it is connected to, at every hop, and reads up to a limit; opening is left to the caller.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib import request

from modules import shared

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.http import opener

SECONDS = 30  # without an answer
_PIECE = 2**16  # bytes


class _RefusedError(OSError):
    """Why an address is not requested."""


def fetch(url: str, limit: int, label: str) -> bytes:
    """What lies behind `url`, up to `limit` bytes.

    Raises InstantStyleError where the WebUI does not allow it, or it cannot be had.
    """
    address = f"{label} is the address {shorten(url, 80)}"
    options = shared.opts.data
    if not options.get("api_enable_requests", True):
        raise InstantStyleError(
            f"{address}, and requests are off in Settings > API; send the picture as base64 text."
        )
    agent = options.get("api_useragent") or "sd-webui-instantstyle"
    client = opener(_Handler(options.get("api_forbid_local_requests", True)))
    try:
        # Only the schemes that the opener has handlers for are opened.
        sent = request.Request(url, headers={"User-Agent": agent})  # noqa: S310
        with client.open(sent, timeout=SECONDS) as response:
            data = _read(response, limit)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InstantStyleError(
            f"{address}, which could not be read ({shorten(str(reason), 80)}); send the picture as "
            "base64 text."
        ) from error
    if len(data) > limit:
        raise InstantStyleError(f"{address}, which has more than {limit:,} bytes.")
    return data


def _read(response: Any, limit: int) -> bytes:
    """Up to `limit` bytes and one more; a server that sends drop by drop is not waited for."""
    data = bytearray()
    end = time.monotonic() + 2 * SECONDS
    while len(data) <= limit and (piece := response.read1(_PIECE)):
        data += piece
        if time.monotonic() > end:
            raise TimeoutError("it takes too long")
    return bytes(data)


class _Handler(request.AbstractHTTPHandler):
    def __init__(self, local_is_forbidden: bool) -> None:
        super().__init__()
        self._forbidden = local_is_forbidden

    def http_open(self, sent: request.Request) -> Any:
        return self._open(HTTPConnection, sent)

    def https_open(self, sent: request.Request) -> Any:
        return self._open(HTTPSConnection, sent)

    http_request = https_request = request.AbstractHTTPHandler.do_request_

    def _open(self, kind: type[HTTPConnection], sent: request.Request) -> Any:
        if not self._forbidden:
            return self.do_open(kind, sent)
        if sent.has_proxy() or getattr(sent, "_tunnel_host", None):
            # The machine at the other end is the proxy: all there is to look at is the name.
            name = getattr(sent, "_tunnel_host", None) or sent.origin_req_host
            for found in socket.getaddrinfo(name.rsplit(":", 1)[0], None):
                _refuse_local(str(found[4][0]))
            return self.do_open(kind, sent)
        return self.do_open(_GUARDED[kind], sent)


class _Guarded:
    """Looks at who answered before anything is sent: names may mean one thing now, another then."""

    sock: socket.socket

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]  # stands before a connection class
        try:
            _refuse_local(self.sock.getpeername()[0])
        except _RefusedError:
            self.sock.close()
            raise


class _GuardedHttp(_Guarded, HTTPConnection):
    pass


class _GuardedHttps(_Guarded, HTTPSConnection):
    pass


_GUARDED: dict[type[HTTPConnection], type[HTTPConnection]] = {
    HTTPConnection: _GuardedHttp,
    HTTPSConnection: _GuardedHttps,
}


def _refuse_local(address: str) -> None:
    if not ipaddress.ip_address(address.split("%")[0]).is_global:
        raise _RefusedError("local addresses are off in Settings > API")
