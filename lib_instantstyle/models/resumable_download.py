"""A published file is brought here, in as many tries as it takes, and checked before it is named.

Each try asks for the bytes that are missing (RFC 9110, section 14: Range). A server that does not
know parts sends all of it again. What was broken off or stopped stays, and the next click, of this
WebUI or of another one on the same folder, goes on from there.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib import error as urllib_error
from urllib import request
from urllib.parse import urlsplit

from lib_instantstyle.errors import InstantStyleError, shorten
from lib_instantstyle.files.http import opener
from lib_instantstyle.files.own_files import shown_folder
from lib_instantstyle.models.part_file import PartFile
from lib_instantstyle.models.published import PublishedFile, address

SECONDS = 20  # without a byte, after which a try counts as broken off
PAUSE = 2.0  # seconds between two tries
FRUITLESS = 4  # tries in a row that bring nothing
_PIECE = 2**18  # bytes, at most, between two looks at whether to stop
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_GONE = (400, 401, 403, 404, 410, 416, 451)  # answers that the next try will get too


class DownloadProgress:
    """How far a download is; read and stopped from other threads."""

    def __init__(self) -> None:
        self.received = 0  # bytes
        self.stop = threading.Event()


def download(
    file: PublishedFile, folder: Path, progress: DownloadProgress, reserved_bytes: int = 0
) -> Path:
    """Bring `file` into `folder`; its path.

    reserved_bytes: bytes of the disk that other downloads are still going to fill. Raises
    InstantStyleError where it is there already, was stopped or broken off, is not what was
    published, or finds no room.
    """
    if os.path.lexists(folder / file.name):  # a link too, that leads nowhere
        raise InstantStyleError(f"{file.name} is there already, and is not replaced.")
    part = PartFile(file, folder)
    with part:
        part.take_up(lambda: _see(part, progress))
        _check_room(part, folder, reserved_bytes)
        _receive_all(part, progress)
        digest = part.digest
    if digest != file.sha256:
        part.remove()
        raise InstantStyleError(
            f"{file.name} is not what was published: its SHA-256 is {digest} and should be "
            f"{file.sha256}; what has arrived was deleted, so try again from the start."
        )
    return part.finish()


def _check_room(part: PartFile, folder: Path, reserved_bytes: int) -> None:
    missing = part.file.size - part.size
    try:
        free = shutil.disk_usage(folder).free - reserved_bytes
    except OSError:  # the system does not tell: writing will
        return
    if missing > free:
        raise InstantStyleError(
            f"{part.file.name} needs {missing:,} bytes more and {max(0, free):,} are free in "
            f"{shown_folder(folder)}; make room there first."
        )


def _receive_all(part: PartFile, progress: DownloadProgress) -> None:
    fruitless = 0
    while part.size < part.file.size:
        before, reason = part.size, "the connection was closed"
        try:
            _receive(part, progress)
        except InstantStyleError:
            raise
        except urllib_error.HTTPError as error:
            if error.code in _GONE:
                raise _broken_off(part, f"the server answers {error.code}") from error
            reason = f"the server answers {error.code}"
        except (OSError, HTTPException, ValueError) as error:
            reason = _in_words(error, part)
        if part.size >= part.file.size:
            return
        fruitless = 0 if part.size > before else fruitless + 1
        if fruitless == FRUITLESS:
            raise _broken_off(part, reason)
        progress.stop.wait(PAUSE)
        _see(part, progress)


def _in_words(error: Exception, part: PartFile) -> str:
    """Why a try has ended, for the sentence that it was broken off."""
    cause = getattr(error, "reason", None) or error
    if isinstance(cause, socket.gaierror):
        host = urlsplit(address(part.file)).hostname
        return f"{host} is not found ({cause.strerror}), so look at the network connection"
    return str(cause) or type(error).__name__


def _receive(part: PartFile, progress: DownloadProgress) -> None:
    """One try: as much as the server sends."""
    headers = {"User-Agent": "sd-webui-instantstyle", "Accept-Encoding": "identity"}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
    # Only the schemes that the opener has handlers for are opened.
    ranged = request.Request(address(part.file), headers=headers)  # noqa: S310
    with opener().open(ranged, timeout=SECONDS) as response:
        _check_response(response, part)
        while piece := response.read1(_PIECE):
            if len(piece) > part.file.size - part.size:
                part.start_over()
                raise _another_file(part, "sends more")
            part.add(piece)
            _see(part, progress)


def _check_response(response: HTTPResponse, part: PartFile) -> None:
    """Whether what follows is the file, and from which byte on."""
    if response.headers.get_content_maintype() == "text":
        raise _another_file(part, "sends a page")
    if response.status == 206:
        found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        start, whole = found.groups() if found else ("", "")
        if start != str(part.size) or whole not in ("*", str(part.file.size)):
            raise _another_file(part, "sends another part")
        return
    length = response.headers.get("Content-Length", "")
    if length not in ("", str(part.file.size)):
        raise _another_file(part, f"has {shorten(length)}")
    part.start_over()


def _see(part: PartFile, progress: DownloadProgress) -> None:
    """Say how far it is; raises InstantStyleError if it is to stop."""
    progress.received = part.size
    if progress.stop.is_set():
        raise InstantStyleError(f"{part.file.name} was stopped; what has arrived is kept.")


def _broken_off(part: PartFile, reason: str) -> InstantStyleError:
    return InstantStyleError(
        f"{part.file.name} was broken off after {part.size:,} of {part.file.size:,} bytes "
        f"({shorten(reason, 120)}); what has arrived is kept, so go on later."
    )


def _another_file(part: PartFile, what: str) -> InstantStyleError:
    return InstantStyleError(
        f"{part.file.name} is not at {address(part.file)}: instead of its {part.file.size:,} "
        f"bytes the server {what}."
    )
