"""Slow addresses take few of the server's threads, none of a generation's time, and no lock."""

from __future__ import annotations

import threading

import pytest

from lib_instantstyle import limits
from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.hosts.live import in_generation
from tests.host.generations import PICTURES, UNIT

ADDRESS = "http://pictures.example/a.jpg"


@pytest.fixture
def slow(webui, monkeypatch):
    """Addresses that answer when `go` is set; `begun` is released by each that is asked."""
    from lib_instantstyle.hosts import fetch

    class Slow:
        go, begun = threading.Event(), threading.Semaphore(0)

    def fetched(url, limit, address):
        Slow.begun.release()
        assert Slow.go.wait(60)
        return (PICTURES / "coffee.jpg").read_bytes()

    monkeypatch.setattr(fetch, "_fetched", fetched)
    yield Slow
    Slow.go.set()


def plans(webui, count):
    """Threads that ask for a plan with the address, and the problems that they were told."""
    told = []

    def ask():
        answer = webui.post("/instantstyle/plan", {"units": [{"image": ADDRESS}]}).json()
        told.append([problem for problem in answer["problems"] if "address" in problem])

    threads = [threading.Thread(target=ask) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, told


def test_one_more_than_allowed_is_refused_and_a_generation_is_not(slow, webui):
    from lib_instantstyle.hosts.fetch import fetch

    threads, told = plans(webui, limits.ADDRESSES_AT_ONCE)
    for _ in threads:
        assert slow.begun.acquire(timeout=60)
    with pytest.raises(InstantStyleError, match="as many as are allowed at once"):
        fetch(ADDRESS, 10**6, "image")
    slow.go.set()
    with in_generation():
        assert fetch(ADDRESS, 10**6, "image")
    for thread in threads:
        thread.join()
    assert told == [[]] * len(threads)
    assert fetch(ADDRESS, 10**6, "image")  # the places are free again


def test_saving_a_style_waits_for_an_address_without_the_lock(slow, webui, library):
    from modules import call_queue

    answers = []
    request = {"name": "slow", "image": ADDRESS}
    thread = threading.Thread(
        target=lambda: answers.append(webui.post("/instantstyle/embed", request))
    )
    thread.start()
    assert slow.begun.acquire(timeout=60)
    assert call_queue.queue_lock.acquire(False)
    call_queue.queue_lock.release()
    slow.go.set()
    thread.join()
    assert [answer.status_code for answer in answers] == [200]
    again = webui.post("/instantstyle/embed", {"name": "quick", **UNIT})
    assert again.json()["name"] == "quick"
