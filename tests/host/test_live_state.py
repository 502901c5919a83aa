"""Only code that holds the WebUI's queue lock uses the checkpoint in memory."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from tests.host.generations import UNIT, style

CONTENT = {**UNIT, "content": "a cup of coffee", "content_scale": 0.7}


@contextmanager
def a_generation_under_way():
    """The lock as the WebUI holds it; the handlers of requests run in other threads."""
    from modules.call_queue import queue_lock

    queue_lock.acquire()
    try:
        yield queue_lock
    finally:
        queue_lock.release()


@pytest.fixture
def read(monkeypatch):
    """The texts that the loaded text encoder is given."""
    from lib_instantstyle.hosts.text import LoadedTextEncoder

    texts, vectors = [], LoadedTextEncoder.vectors

    def noted(self, given, *args):
        texts.extend(given)
        return vectors(self, given, *args)

    monkeypatch.setattr(LoadedTextEncoder, "vectors", noted)
    return texts


@pytest.fixture
def nothing_cached(session):
    from lib_instantstyle.hosts.folders import own_folder

    shutil.rmtree(own_folder() / "cache", ignore_errors=True)


def plan(session, unit):
    return session.post("/instantstyle/plan", {"units": [unit]}).json()


@pytest.mark.usefixtures("nothing_cached")
def test_a_dry_run_leaves_the_text_encoder_to_the_generation(session, read):
    session.use("tiny_sdxl.")
    with a_generation_under_way():
        busy = plan(session, CONTENT)
    assert read == []
    (unit,) = busy["units"]
    assert "was not compared yet" in unit["remarks"][0]
    assert busy["problems"] == [] and unit["subtracted"] == ""
    free = plan(session, CONTENT)
    (told,) = free["units"]
    assert told["subtracted"].startswith("0.7 times 'a cup of coffee'") and told["remarks"] == []
    assert {**told, "subtracted": "", "remarks": unit["remarks"]} == unit
    assert {name: free[name] for name in ("checkpoint", "layout", "in_memory")} == {
        name: busy[name] for name in ("checkpoint", "layout", "in_memory")
    }


@pytest.mark.usefixtures("nothing_cached")
def test_a_dry_run_compares_where_nothing_is_made(session, read):
    session.use("tiny_sdxl.")
    (unit,) = plan(session, CONTENT)["units"]
    assert unit["subtracted"]
    session.txt2img(**style(CONTENT))
    assert "a cup of coffee" in read


def test_the_chosen_checkpoint_is_told_by_its_file_while_it_is_in_use(session):
    session.use("tiny_sd15.")
    with a_generation_under_way():
        busy = session.get("/instantstyle/blocks").json()
    assert session.get("/instantstyle/blocks").json() == busy
    assert busy["layout"] == "sd15"


@pytest.mark.parametrize("route", ["embed", "content"])
def test_who_needs_the_checkpoint_waits_for_the_generation(session, route, monkeypatch):
    from lib_instantstyle.hosts import checkpoint

    session.use("tiny_sdxl.")
    asked, loaded_model = [], checkpoint.loaded_model

    def noted():
        asked.append(True)
        return loaded_model()

    monkeypatch.setattr(checkpoint, "loaded_model", noted)
    body = {**UNIT, "name": "while busy"} if route == "embed" else {**UNIT, "count": 0}
    with ThreadPoolExecutor(1) as threads:
        with a_generation_under_way() as lock:
            answer = threads.submit(session.post, f"/instantstyle/{route}", body)
            while not lock._waiting:
                assert not answer.done(), answer.result().text
                time.sleep(0.01)
            assert asked == []
        assert answer.result().status_code == 200
    assert asked == [True]
    if route == "embed":
        from lib_instantstyle.methods import TABLE
        from lib_instantstyle.styles.library import library

        library(TABLE).find("while busy").path.unlink()


def test_without_the_lock_nothing_is_handed_out(session):
    from lib_instantstyle import hosts
    from lib_instantstyle.hosts import live
    from lib_instantstyle.hosts.text import LoadedTextEncoder

    session.use("tiny_sdxl.")
    p = hosts.LoadedCheckpoint(session.sd_model)
    host = hosts.current(p)
    for use in (
        hosts.loaded_checkpoint,
        lambda: host.unet(p),
        lambda: host.text_encoder(p),
        lambda: LoadedTextEncoder(None, "some", lambda: None).vectors(["a cat"]),
    ):
        with pytest.raises(RuntimeError, match="without the WebUI's queue lock"):
            use()
    with live.queue_lock():
        assert host.unet(p) is session.unet
        with live.queue_lock(), live.queue_lock_if_free() as held:
            assert held  # who holds it may ask again
        assert live.is_held()
    assert not live.is_held()


def test_the_lock_is_free_again_after_an_error(session):
    from lib_instantstyle.hosts import live

    for lock in (live.queue_lock, live.queue_lock_if_free):
        with pytest.raises(ZeroDivisionError), lock():
            raise ZeroDivisionError
        assert not live.is_held()
    with a_generation_under_way(), live.queue_lock_if_free() as held:
        assert not held and not live.is_held()
