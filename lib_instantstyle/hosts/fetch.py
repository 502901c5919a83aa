"""Pictures behind addresses, within what the WebUI's settings for its API allow.

The WebUI's own helper looks at an address before the request only, follows redirects wherever they
lead, waits and reads without an end, and opens every format that Pillow knows. This one looks up a
name once, connects to what it found and to nothing else, at every hop, and has one deadline for all
of it; opening is left to the caller.

Whether a machine of this network is there, and what answers at which of its ports, is told to
nobody: what cannot be reached is one sentence, whatever the reason.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib import request
from urllib.parse import urljoin

from modules import shared

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.deadline import Deadline, TimedSocket
from lib_instantstyle.files.network import addresses_of, is_public_address
from lib_instantstyle.hosts import live

_PIECE = 2**16  # bytes
_places = threading.BoundedSemaphore(limits.ADDRESSES_AT_ONCE)
_MOVED = (301, 302, 303, 307, 308)


class _UnreachableError(OSError):
    """An address is local, or does not answer; which of them is not told."""


class _UnreadableError(OSError):
    """What answers brings no picture; its text is a reason."""


def fetch(url: str, limit: int, label: str) -> bytes:
    """What lies behind `url`, up to `limit` bytes.

    Raises InstantStyleError where the WebUI does not allow it, or it cannot be had.
    """
    address = f"{label} is the address {shorten(url, 80)}"
    if not shared.opts.data.get("api_enable_requests", True):
        raise InstantStyleError(
            f"{address}, and requests are off in Settings > API; send the picture as base64 text."
        )
    with _place(address):
        return _fetched(url, limit, address)


@contextmanager
def _place(address: str) -> Iterator[None]:
    """One of the places for addresses that are read at once; a generation needs none."""
    if live.is_held():
        yield
        return
    if not _places.acquire(blocking=False):
        raise InstantStyleError(
            f"{address}, and {limits.ADDRESSES_AT_ONCE} others are being read, as many as are "
            "allowed at once; try again, or send the picture as base64 text."
        )
    try:
        yield
    finally:
        _places.release()


def _fetched(url: str, limit: int, address: str) -> bytes:
    options = shared.opts.data
    headers = {"User-Agent": options.get("api_useragent") or "sd-webui-instantstyle"}
    deadline = Deadline(limits.ADDRESS_SECONDS)
    client = _client(deadline, options.get("api_forbid_local_requests", True))
    try:
        with _follow(client, url, headers) as response:
            data = _read(response, limit)
    except (OSError, HTTPException, ValueError) as error:
        raise InstantStyleError(
            f"{address}, which could not be read ({_reason(error, deadline)}); send the picture as "
            "base64 text."
        ) from error
    if len(data) > limit:
        raise InstantStyleError(f"{address}, which has more than {limit:,} bytes.")
    return data


def _reason(error: Exception, deadline: Deadline) -> str:
    cause = getattr(error, "reason", error)  # urllib wraps what a connection raises
    if isinstance(cause, _UnreachableError):
        return "it is local, or does not answer"
    if isinstance(cause, _UnreadableError):
        return str(cause)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return "its certificate is not trusted"
    if deadline.is_over:
        return f"it takes more than {limits.ADDRESS_SECONDS:g} seconds"
    return "it breaks off, or does not speak HTTP"


def _follow(client: request.OpenerDirector, url: str, headers: Mapping[str, str]) -> HTTPResponse:
    """The answer at the end of all redirects, whose own bodies are not read."""
    for _ in range(limits.REDIRECTS + 1):
        # Only the schemes that the opener has handlers for are opened.
        try:
            sent = request.Request(url, headers=dict(headers))  # noqa: S310
        except ValueError:
            raise _UnreadableError("it is no address") from None
        response: HTTPResponse | None = client.open(sent)
        if response is None:
            raise _UnreadableError("only http and https are allowed")
        if response.status not in _MOVED:
            break
        with response:
            url = urljoin(url, response.headers.get("Location", ""))
    else:
        raise _UnreadableError(f"it is moved more than {limits.REDIRECTS} times")
    if not 200 <= response.status < 300:
        with response:
            raise _UnreadableError(f"HTTP status {response.status}")
    return response


def _read(response: HTTPResponse, limit: int) -> bytes:
    """Up to `limit` bytes and one piece more."""
    announced = response.length or 0
    data = bytearray()
    while len(data) <= limit and (piece := response.read1(_PIECE)):
        data += piece
    # To `read1` a connection that breaks off is an end like another.
    if len(data) < min(announced, limit):
        raise _UnreadableError("it breaks off before its end")
    return bytes(data)


def _client(deadline: Deadline, local_is_forbidden: bool) -> request.OpenerDirector:
    """What opens one address, through the user's proxies, and follows no redirect."""
    client = request.OpenerDirector()
    for handler in (request.ProxyHandler(), _Handler(deadline, local_is_forbidden)):
        client.add_handler(handler)
    return client


class _Handler(request.AbstractHTTPHandler):
    def __init__(self, deadline: Deadline, local_is_forbidden: bool) -> None:
        super().__init__()
        self._deadline = deadline
        self._forbidden = local_is_forbidden

    def http_open(self, sent: request.Request) -> Any:
        return self._open(_Connection, sent)

    def https_open(self, sent: request.Request) -> Any:
        return self._open(_SecureConnection, sent)

    http_request = https_request = request.AbstractHTTPHandler.do_request_

    def _open(self, kind: type[_Timed], sent: request.Request) -> Any:
        through_proxy = sent.has_proxy() or bool(getattr(sent, "_tunnel_host", None))
        if through_proxy and self._forbidden:
            # The machine at the other end is the proxy: all there is to look at is the name.
            name = getattr(sent, "_tunnel_host", None) or sent.origin_req_host
            _looked_up(name.rsplit(":", 1)[0], 0, self._deadline, True)

        def connect(address: tuple[str, int], *_: Any) -> socket.socket:
            # A proxy is the user's own, wherever it stands.
            return _connected(*address, self._deadline, self._forbidden and not through_proxy)

        def connection(host: str, **options: Any) -> _Timed:
            return kind(host, **options).within(self._deadline, connect)

        return self.do_open(connection, sent)


class _Timed(HTTPConnection):
    """A connection whose every wait ends with the deadline."""

    _deadline: Deadline

    def within(self, deadline: Deadline, connect: Any) -> _Timed:
        """The same with a deadline, and with what makes its socket."""
        self._deadline = deadline
        self._create_connection = connect
        return self

    def connect(self) -> None:
        super().connect()
        self.sock: Any = TimedSocket(self.sock, self._deadline)


class _Connection(_Timed):
    pass


class _SecureConnection(_Timed, HTTPSConnection):
    pass


def _connected(host: str, port: int, deadline: Deadline, no_local: bool) -> socket.socket:
    """A socket to the first address of `host` that answers; the name is looked up this once."""
    for family, address in _looked_up(host, port, deadline, no_local):
        opened = socket.socket(family, socket.SOCK_STREAM)
        try:
            opened.settimeout(deadline.left())
            opened.connect(address)
            opened.settimeout(deadline.left())  # of what is shaken hands on next
        except OSError:
            opened.close()
        else:
            return opened
    raise _UnreachableError


def _looked_up(host: str, port: int, deadline: Deadline, no_local: bool) -> list[Any]:
    """The addresses of `host`; where one of them is local and none may be, none is used."""
    try:
        found = addresses_of(host, port, deadline)
    except (OSError, ValueError):
        raise _UnreachableError from None
    if no_local and not all(is_public_address(str(address[0])) for _, address in found):
        raise _UnreachableError
    return found
