"""Which tests this environment's flavour of the miniature runs, and what they share."""

import shutil
import sys

import pytest

from tests.host.generations import ROOT
from tests.host.watching import hooks_on
from tests.miniature import harness
from tests.miniature.flavour import A1111, CLASSIC, FORGE, flavour

# What the miniature must share with A1111 (beside what only its environment has, and what was kept
# of pictures made there), and the tests of the modes laid over it.
_OTHERS = {
    A1111: ["forge_mode", "ldm_patched_mode"],
    FORGE: ["miniature", "ldm_patched_mode", "test_any_request.py", "test_written_before.py"],
    CLASSIC: ["miniature", "forge_mode", "test_any_request.py", "test_written_before.py"],
}
collect_ignore = _OTHERS[flavour()]


@pytest.fixture(scope="module", autouse=True)
def whatever_ran_before():
    """A file's tests may count on what is set and remembered, in any order of the files."""
    harness.begin_file()


# The tests of the miniature, and of what the other modes change, say what each of three steps
# calls; everywhere else two show as much.
COUNTED = ("miniature", "forge_mode", "ldm_patched_mode")


@pytest.fixture(autouse=True)
def three_steps_where_they_are_counted(request):
    # Not `monkeypatch`: what a test changes with it is undone before its WebUI is looked at.
    with pytest.MonkeyPatch.context() as patch:
        if request.path.parent.name in COUNTED:
            patch.setitem(harness.SMALL, "steps", 3)
        yield


@pytest.fixture(autouse=True)
def nothing_written_down():
    """What the probe saw holds every `p` and each checkpoint: none lives longer than its test."""
    yield
    probe = sys.modules.get("lib_probe")
    if probe is not None:
        probe.reset()


@pytest.fixture(scope="module")
def session():
    """The WebUI of this process, with the extension."""
    webui = harness.session()
    webui.add_extension(ROOT)
    return webui


@pytest.fixture
def checkpoint():
    """Which one `webui` has loaded: of the two, the quicker; a file may name the other, or both."""
    return "tiny_sd15"


@pytest.fixture
def webui(session, checkpoint):
    """With a checkpoint, one at a time in memory. Settings are put back; no hook may be left."""
    import lib_probe

    session.use(f"{checkpoint}.")
    saved = dict(session.shared.opts.data)
    lib_probe.reset()
    session.reports.clear()
    yield session
    session.shared.opts.data = saved
    assert hooks_on(session.sd_model) == []


@pytest.fixture(scope="module")
def all_checkpoints_in_memory(session):
    """Those that were loaded once stay there, for the whole of a file."""
    session.shared.opts.data["sd_checkpoints_limit"] = 3


@pytest.fixture
def sdxl(webui):
    """`webui` with a checkpoint of the other family."""
    webui.use("tiny_sdxl.")
    return webui


@pytest.fixture
def nothing_inverted(webui):
    """No picture's trajectory is known; nothing is reported, and no progress left, afterwards."""
    from lib_instantstyle.methods.self_attention import trajectories

    trajectories().clear()
    yield
    assert webui.reports == []
    assert webui.shared.state.textinfo is None


@pytest.fixture
def said(session, monkeypatch):
    """What the user is told beside the pictures."""
    from modules import processing

    said = []
    monkeypatch.setattr(
        processing.StableDiffusionProcessing, "comment", lambda self, text: said.append(text)
    )
    return said


@pytest.fixture
def probe(session):
    """What the small extension that is called at every hook has written down."""
    import lib_probe

    return lib_probe


@pytest.fixture
def no_proxies(monkeypatch):
    """Addresses of this machine are asked directly."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def library(session):
    """The saved styles, of which there are none before and after."""
    from lib_instantstyle.methods import TABLE
    from lib_instantstyle.styles.library import library

    shutil.rmtree(library(TABLE).folder, ignore_errors=True)
    yield library(TABLE)
    shutil.rmtree(library(TABLE).folder, ignore_errors=True)


@pytest.fixture
def few_nouns(session, monkeypatch):
    """A hundred words to suggest from, and no word vectors left on disk."""
    from lib_instantstyle.content import suggestions
    from lib_instantstyle.content.word_vectors import nouns
    from lib_instantstyle.hosts import own_folder

    few = nouns()[::15]
    monkeypatch.setattr(suggestions, "nouns", lambda: few)
    yield few
    shutil.rmtree(own_folder() / "cache", ignore_errors=True)


@pytest.fixture
def as_in_generation():
    """The test does by hand what code does that the WebUI calls while it holds its queue lock."""
    from lib_instantstyle.hosts.live import in_generation

    with in_generation():
        yield
