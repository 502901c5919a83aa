"""The downloads of this WebUI, which a click on the page starts and stops.

A download runs in a thread of its own: neither the page nor a generation waits for it, and closing
the page does not stop it. Closing the WebUI does; the next click then resumes it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from lib_instantstyle.errors import InstantStyleError, reason, shorten
from lib_instantstyle.files.folder import model_files
from lib_instantstyle.hosts import model_folders, own_folder
from lib_instantstyle.hosts.page import forbidden, refuse_strangers
from lib_instantstyle.models import published
from lib_instantstyle.models.part_file import part_path
from lib_instantstyle.models.published import PublishedFile
from lib_instantstyle.models.resumable_download import DownloadProgress, download
from lib_instantstyle.session import SESSION

FORBIDDEN = forbidden("nothing is downloaded from the page", "put the files there by hand")


@dataclass
class _Job:
    """The download that one click has started."""

    file: PublishedFile
    progress: DownloadProgress = field(default_factory=DownloadProgress)
    runs: bool = True
    message: str = ""  # why it failed; set at its end


@dataclass(frozen=True)
class State:
    """How much of one published file is here, and what its download does."""

    file: PublishedFile
    here: Path | None  # where it is, whatever its name
    arrived: int  # bytes of it that are here, if it is not
    runs: bool
    stops: bool  # its download runs, and has been told to stop
    message: str  # why its last download failed; "" if it did not


class _Jobs:
    """The last download of each file; a WebUI keeps this when it reloads its page."""

    def __init__(self) -> None:
        self.by_name: dict[str, _Job] = {}
        self.changing = threading.Lock()


def _jobs() -> _Jobs:
    return SESSION.of(_Jobs)


def start(name: str) -> None:
    """Start or resume the download of the published file `name`; one that runs is left alone.

    Raises InstantStyleError if there is no such file, or the WebUI is open to strangers.
    """
    refuse_strangers(FORBIDDEN)
    file = published_file(name)
    jobs = _jobs()
    with jobs.changing:
        job = jobs.by_name.get(name)
        if job is None or not job.runs:
            reserved_bytes = sum(
                other.file.size - other.progress.received
                for other in jobs.by_name.values()
                if other.runs
            )
            job = jobs.by_name[name] = _Job(file)
            thread = threading.Thread(
                target=_run, args=(job, reserved_bytes), name=f"download {name}", daemon=True
            )
            thread.start()


def stop(name: str) -> None:
    """Stop the download of `name`, and keep what has arrived. Raises as `start` does."""
    refuse_strangers(FORBIDDEN)
    job = _jobs().by_name.get(published_file(name).name)
    if job:
        job.progress.stop.set()


def states() -> list[State]:
    """The state of each published file.

    A download that ends while the folders are looked at still runs, for this look: its file may
    have come too late to be found, and who is told that nothing runs does not look again.
    """
    jobs = _jobs()
    with jobs.changing:
        running = {name: job for name, job in jobs.by_name.items() if job.runs}
    sizes = _sizes()
    return [_state(file, sizes, running.get(file.name)) for file in published.PUBLISHED_FILES]


def _run(job: _Job, reserved_bytes: int) -> None:
    try:
        download(job.file, own_folder(), job.progress, reserved_bytes)
    except InstantStyleError as error:
        job.message = str(error)
    except Exception as error:  # a thread's exceptions reach nobody else
        job.message = f"{job.file.name} failed with {type(error).__name__}: {reason(error)}."
    finally:
        job.runs = False


def published_file(name: str) -> PublishedFile:
    """The published file `name`; raises InstantStyleError if there is none."""
    for file in published.PUBLISHED_FILES:
        if file.name == name:
            return file
    raise InstantStyleError(f"{shorten(name)} is not among the files to download.")


def _state(file: PublishedFile, sizes: dict[int, Path], running: _Job | None) -> State:
    if running:
        stops = running.progress.stop.is_set()
        return State(file, None, running.progress.received, True, stops, "")
    job = _jobs().by_name.get(file.name)
    here = sizes.get(file.size)
    try:
        arrived = part_path(file, own_folder()).stat().st_size
    except OSError:
        arrived = 0
    return State(file, here, arrived, False, False, job.message if job and not here else "")


def _sizes() -> dict[int, Path]:
    """The model files that are there by their size, which tells the published ones apart."""
    found: dict[int, Path] = {}
    for folder in model_folders():
        for path in model_files(folder):
            try:
                found.setdefault(path.stat().st_size, path)
            except OSError:
                continue  # gone between the listing and the look
    return found
