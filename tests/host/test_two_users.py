"""Two users at the same time: each gets what nobody else there would change. `make soak` goes on.

Who these two are, what they do and what strangers put into the folders meanwhile: tests/soak.
"""

import base64
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.host.generations import style
from tests.soak.memory import open_files
from tests.soak.strangers import KINDS, nobody_may_read_them
from tests.soak.users import ACTIONS, COFFEE, Addresses, House, look_around
from tests.unit.publisher import Gate, publisher

PATIENCE = 60  # seconds after which a state that is waited for counts as never coming
DATA = base64.b64decode(COFFEE)


def until(state, *running):
    """Wait for `state`; what should be running meanwhile tells its error."""
    end = time.monotonic() + PATIENCE
    while not state():
        for each in running:
            assert not each.done(), each.result()
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture(scope="module")
def house(session):
    from modules import paths_internal

    with (
        publisher(DATA, kind="image/jpeg", piece=4096) as slow,
        publisher(DATA, kind="image/jpeg", breaks=[5000] * 1000) as broken,
    ):
        addresses = Addresses(f"{slow.url}/coffee.jpg", f"{broken.url}/coffee.jpg")
        house = House(session, addresses, Path(paths_internal.models_path))
        house.alone()
        yield house
        house.strangers.leave()
        for user in house.users:
            house.library().delete(user.name)


@pytest.fixture
def requests_are_allowed(webui):
    """For a reference behind an address of this machine."""
    webui.shared.opts.data.update(api_enable_requests=True, api_forbid_local_requests=False)


pytestmark = pytest.mark.usefixtures("no_proxies", "house", "webui", "requests_are_allowed")


def test_nobody_s_picture_changes_and_nothing_fails(house, webui):
    """Each user does each thing once, in an order of their own."""
    files, running, compared = open_files(), threading.active_count(), house.compared
    kinds = list(dict.fromkeys(ACTIONS))
    with nobody_may_read_them():
        house.together({user.name: user.chance.sample(kinds, len(kinds)) for user in house.users})
    assert house.wrong == [] and webui.reports == []
    assert house.compared - compared == 2 * len(house.users)
    assert house.strangers.met
    # Threads of the sites end a moment after their answer.
    until(lambda: open_files() <= files and threading.active_count() <= running)


def test_strangers_files_change_nobody_s_picture(house):
    """Thirty at a time, of every kind until all have been there."""
    while len(house.strangers.met) < len(KINDS):
        house.strangers.act()
    with nobody_may_read_them():
        for user in house.users:
            house.compare_all(user)
            assert look_around(house, user) == ""
    assert house.wrong == []


def test_who_waits_for_an_address_holds_up_nobody_who_paints_nothing(house):
    """Whoever paints waits for the queue and gets the same picture; lists are answered."""
    from modules.call_queue import queue_lock

    ada, ben = house.users
    with (
        publisher(DATA, kind="image/jpeg", gate=Gate()) as site,
        ThreadPoolExecutor(2) as threads,
    ):
        unit = ada.unit(image=f"{site.url}/coffee.jpg")
        asked = {**ada.wishes["style"], **style(unit)}
        slow = threads.submit(house.picture, ada, asked)
        until(lambda: site.asked, slow)
        waiting = threads.submit(house.picture, ben, ben.wishes["content"])
        until(lambda: queue_lock._waiting, slow, waiting)
        for user in house.users:
            assert look_around(house, user) == ""
        assert not slow.done() and not waiting.done()
        site.gate.open()
        assert slow.result().png == ada.alone["style"]
        assert waiting.result().png == ben.alone["content"]


def test_who_saves_a_style_from_a_slow_address_holds_up_nobody(house):
    """The address is waited for without the queue's lock."""
    ada, ben = house.users
    with (
        publisher(DATA, kind="image/jpeg", gate=Gate()) as site,
        ThreadPoolExecutor(1) as threads,
    ):
        body = {"image": f"{site.url}/coffee.jpg", "name": "slow"}
        saving = threads.submit(house.webui.post, "/instantstyle/embed", body)
        until(lambda: site.asked, saving)
        assert house.picture(ben, ben.wishes["style"]).png == ben.alone["style"]
        assert house.picture(ada, ada.wishes["plain"]).png == ada.alone["plain"]
        assert not saving.done()
        site.gate.open()
        assert saving.result().status_code == 200
    house.library().delete("slow")
