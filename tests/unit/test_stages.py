"""The clock of the stages before the first step; time is counted by hand here."""

import threading

import pytest

from lib_instantstyle import stages
from lib_instantstyle.stages import ADAPTER, FOLDERS, STAGES, TOKENS, watched


@pytest.fixture
def passing(monkeypatch):
    """Call it to let seconds pass; nothing else does."""
    now = [0.0]
    monkeypatch.setattr(stages.time, "perf_counter", lambda: now[0])

    def passing(seconds):
        now[0] += seconds

    return passing


def test_a_stage_lasts_as_long_as_its_block(passing):
    with watched() as clock:
        passing(1)
        for seconds in (2, 3):
            with FOLDERS:
                passing(seconds)
            passing(10)
    assert clock.seconds == {FOLDERS.name: 5} and clock.entries == {FOLDERS.name: 2}


def test_what_is_in_another_stage_counts_there_alone(passing):
    with watched() as clock, TOKENS:
        passing(1)
        with ADAPTER:
            passing(2)
            with ADAPTER:
                passing(4)
        passing(8)
    assert clock.seconds == {TOKENS.name: 9, ADAPTER.name: 6}


def test_a_stage_ends_with_an_error_too(passing):
    with watched() as clock:
        with pytest.raises(ValueError, match="no"), FOLDERS:
            passing(1)
            raise ValueError("no")
        passing(2)
    assert clock.seconds == {FOLDERS.name: 1}


def test_each_thread_is_in_stages_of_its_own(passing):
    def work():
        with ADAPTER:
            passing(2)

    with watched() as clock, TOKENS:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert clock.seconds == {TOKENS.name: 2, ADAPTER.name: 2}


def test_a_stage_under_way_when_the_watch_begins_or_ends_breaks_nothing(passing):
    watch = watched()
    with FOLDERS:
        clock = watch.__enter__()
        passing(1)
    with TOKENS:
        passing(2)
        watch.__exit__(None, None, None)
    assert clock.seconds == {}


def test_nothing_is_measured_while_nobody_watches(monkeypatch):
    def never():
        raise AssertionError("somebody looked at the clock")

    monkeypatch.setattr(stages.time, "perf_counter", never)
    for stage in STAGES:
        with stage:
            pass
    assert len({stage.name for stage in STAGES}) == len(STAGES) == 8
