"""Models to download: on a click only, on the page; and what the page can do afterwards."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from tests.unit.publisher import Gate, published, publisher
from tests.waiting import wait_for

LIST = "script_txt2img_instantstyle_downloads"
UNIT = "script_txt2img_instantstyle_unit_1_"
NAME = "ip-adapter_sd15.safetensors"


def own_folder():
    from lib_instantstyle.hosts.folders import own_folder

    return own_folder()


@pytest.fixture
def webui(webui, no_proxies, monkeypatch):
    from lib_instantstyle.models import resumable_download
    from lib_instantstyle.page import download_jobs

    monkeypatch.setattr(resumable_download, "PAUSE", 0)
    monkeypatch.setattr(download_jobs._jobs(), "by_name", {})
    yield webui
    for file in own_folder().glob(f"{NAME}*"):
        file.unlink()


@pytest.fixture
def adapter(webui):
    """What the tiny adapter for SD1.5 holds; it and its relatives for SD1.5 are away."""
    models = own_folder().parent
    there = [path for path in models.rglob("ip-adapter*sd15*") if path.suffix == ".safetensors"]
    (content,) = (path.read_bytes() for path in there if path.name == NAME)
    for path in there:
        path.rename(path.with_suffix(".away"))
    yield content
    for path in there:
        path.with_suffix(".away").rename(path)


def offer(monkeypatch, site, content):
    from lib_instantstyle.models import published as published_files

    file = replace(published(site, content, NAME), layout="sd15")
    monkeypatch.setattr(published_files, "PUBLISHED_FILES", (file,))


def ask(webui, asked=""):
    (answer,) = webui.press(f"{LIST}_ask", _0=asked)
    return answer


def ended(webui):
    """The list when nothing is under way any more."""
    answers = []

    def has_ended():
        answers.append(ask(webui))
        return "data-runs" not in answers[-1]

    wait_for(has_ended)
    return answers[-1]


def choices(webui):
    first = webui.press("script_txt2img_instantstyle_fill")[0]
    return [choice if isinstance(choice, str) else choice[-1] for choice in first["choices"]]


def said(webui):
    return webui.press("script_txt2img_instantstyle_look")[0]


def test_a_click_brings_the_adapter_and_the_page_knows_it(webui, adapter, monkeypatch):
    with publisher(adapter) as site:
        offer(monkeypatch, site, adapter)
        assert "No IP-Adapter for SD1.5" in said(webui) and f"Download {NAME} (" in said(webui)
        assert "ip-adapter_sd15" not in choices(webui)
        before = ask(webui)
        assert 'data-here="0"' in before and f'data-ask="start {NAME}"' in before
        for told in (NAME, "Apache-2.0", published(site, adapter).sha256, str(own_folder())):
            assert told in before
        assert site.asked == []  # to look is not to ask
        assert "data-runs" in ask(webui, f"start {NAME}") or site.asked
        after = ended(webui)
    assert 'data-here="1"' in after and f"is here, as {NAME}" in after and "data-ask" not in after
    assert (own_folder() / NAME).read_bytes() == adapter
    assert "ip-adapter_sd15" in choices(webui)
    assert "ip-adapter_sd15 with image encoder" in said(webui)
    assert "Download" not in said(webui)


def test_a_download_that_ends_during_a_look_is_seen_by_the_next(webui, adapter, monkeypatch):
    """The page looks again only while something runs: else the file would never be shown."""
    from lib_instantstyle.page import download_jobs

    sizes = download_jobs._sizes

    def ends_meanwhile():
        found = sizes()
        site.gate.open()
        wait_for(lambda: not download_jobs._jobs().by_name[NAME].runs)
        return found

    with publisher(adapter, gate=Gate()) as site:
        offer(monkeypatch, site, adapter)
        with monkeypatch.context() as patch:
            patch.setattr(download_jobs, "_sizes", ends_meanwhile)
            assert "data-runs" in ask(webui, f"start {NAME}")
        assert "is here" in ended(webui)


def test_two_clicks_are_one_download_that_can_be_cancelled_and_gone_on_with(
    webui, adapter, monkeypatch
):
    content = adapter + bytes(400_000)
    with publisher(content, gate=Gate(), piece=2**16) as site:
        offer(monkeypatch, site, content)
        ask(webui, f"start {NAME}")
        wait_for(lambda: site.asked)
        twice = ask(webui, f"start {NAME}")
        assert "<progress" in twice and f'data-ask="stop {NAME}"' in twice
        assert len(site.asked) == 1
        site.gate.let(2)
        assert ">Stopping</button>" in ask(webui, f"stop {NAME}")
        site.gate.open()
        stopped = ended(webui)
        assert "was stopped; what has arrived is kept." in stopped
        assert "Go on</button>" in stopped or "Download</button>" in stopped
        ask(webui, f"start {NAME}")
        assert "is here" in ended(webui)
    assert (own_folder() / NAME).read_bytes() == content


@pytest.mark.parametrize(
    ("behaviour", "sentence"),
    [
        ({"status": 404}, "the server answers 404"),
        ({"kind": "text/html"}, "the server sends a page"),
        (
            {"content": b"wrong", "says_length": False, "knows_parts": False},
            "was broken off after 5 of",
        ),
    ],
)
def test_what_fails_is_a_sentence_in_the_list(webui, adapter, monkeypatch, behaviour, sentence):
    with publisher(**{"content": adapter, **behaviour}) as site:
        offer(monkeypatch, site, adapter)
        ask(webui, f"start {NAME}")
        answer = ended(webui)
    assert sentence in answer and "instantstyle-problem" in answer
    assert not (own_folder() / NAME).exists()


def test_a_wrong_hash_leaves_nothing_and_no_adapter(webui, adapter, monkeypatch):
    changed = adapter[:-1] + bytes([adapter[-1] ^ 1])
    with publisher(changed) as site:
        offer(monkeypatch, site, adapter)
        ask(webui, f"start {NAME}")
        answer = ended(webui)
    assert "is not what was published: its SHA-256 is" in answer
    assert list(own_folder().glob(f"{NAME}*")) == []
    assert "ip-adapter_sd15" not in choices(webui)


@pytest.mark.parametrize("name", ["../../x.safetensors", "x", "http://127.0.0.1/x", NAME + " "])
def test_only_what_is_listed_is_downloaded(webui, name):
    before = sorted(own_folder().rglob("*"))
    answer = ask(webui, f"start {name}")
    assert "is not among the files to download" in answer and "data-runs" not in answer
    assert sorted(own_folder().rglob("*")) == before


def test_visitors_who_may_be_strangers_download_nothing(webui, adapter, monkeypatch):
    monkeypatch.setattr(webui.shared.cmd_opts, "disable_extension_access", True)
    with publisher(adapter) as site:
        offer(monkeypatch, site, adapter)
        for asked in ("", f"start {NAME}", f"stop {NAME}"):
            answer = ask(webui, asked)
            assert "may be strangers" in answer and "data-ask" not in answer
            assert str(own_folder()) not in answer
        assert site.asked == []


def test_a_file_under_another_name_is_not_offered_again(webui, adapter, monkeypatch):
    other = own_folder().parent / "ControlNet" / "renamed.safetensors"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(adapter)
    try:
        with publisher(adapter) as site:
            offer(monkeypatch, site, adapter)
            answer = ask(webui)
        assert "is here, as renamed.safetensors" in answer and "data-ask" not in answer
    finally:
        other.unlink()


def test_nothing_is_asked_for_at_start_nor_by_a_picture(webui, monkeypatch):
    """Neither loading the extension, nor building its page, nor generating opens a connection."""
    asked = []
    connect = socket.socket.connect

    def seen(self, address):
        asked.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", seen)
    webui.reload_ui()
    ask(webui)
    webui.txt2img()
    assert asked == []
