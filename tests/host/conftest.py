"""Which tests this environment's flavour of the miniature runs, and what they share."""

import shutil
import sys

import pytest

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


@pytest.fixture
def few_nouns(session, monkeypatch):
    """A hundred words to suggest from, and no word vectors left on disk."""
    from lib_instantstyle.hosts import own_folder
    from lib_instantstyle.pure.nouns import nouns
    from lib_instantstyle.webui import content_report

    few = nouns()[::15]
    monkeypatch.setattr(content_report, "nouns", lambda: few)
    yield few
    shutil.rmtree(own_folder() / "cache", ignore_errors=True)
