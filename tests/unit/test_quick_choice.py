"""What `make quick` takes for a changed file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quick_choice import ALWAYS, MOST, ROOT, chosen, imported


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("lib_instantstyle/methods/recolouring.py", "tests/unit/test_palette.py"),
        ("lib_instantstyle/unet/masks.py", "tests/unit/test_masks.py"),
        ("tests/unit/test_palette.py", "tests/unit/test_palette.py"),
        ("tests/unit/one_layer.py", "tests/unit/test_guidance.py"),
    ],
)
def test_a_change_finds_its_tests(changed: str, test: str) -> None:
    assert (ROOT / test).is_file()
    found = chosen([changed])
    assert test in found and set(ALWAYS) <= set(found) and len(found) <= MOST + len(ALWAYS)


def test_what_is_no_code_takes_the_walls_alone() -> None:
    assert chosen(["README.md"]) == list(ALWAYS)


def test_both_forms_of_import_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "some.py"
    file.write_text("import a.b\nfrom c import d\n\ndef f():\n    from e.f import g\n")
    assert imported(file) == {"a.b", "c", "c.d", "e.f", "e.f.g"}
