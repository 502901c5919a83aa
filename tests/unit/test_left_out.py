"""The list of what an older torch cannot run names tests that there are."""

from pathlib import Path

import pytest

from tests.unit.left_out import LEFT_OUT, why

LISTED = [test for entry in LEFT_OUT for test in entry.tests]


@pytest.mark.parametrize("test", LISTED)
def test_each_is_a_test(test):
    file, _, name = test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (Path(__file__).parent / file).read_text()


def test_the_reason_goes_by_version(monkeypatch):
    monkeypatch.setattr("tests.unit.left_out.VERSION", (2, 10))
    assert not any(why(f"tests/unit/{test}") for test in LISTED)
    monkeypatch.setattr("tests.unit.left_out.VERSION", (2, 5))
    (told,) = [test for test in LISTED if why(f"tests/unit/{test}")]
    assert why(f"tests/unit/{told}[sd15]") and not why(f"tests/unit/{told}_too")
