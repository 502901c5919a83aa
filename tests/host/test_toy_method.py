"""A new method is three files in one folder and one line; everything else is derived."""

import json
import subprocess
import sys

import pytest

from tests.host import toy_method
from tests.miniature.tiny.linked import FAMILY


def run(tmp_path, registered):
    extension = tmp_path / "extension"
    extension.mkdir()
    toy_method.copy_to(extension, registered)
    command = [sys.executable, "-m", "tests.host.toy_method", str(FAMILY), str(tmp_path / "data")]
    done = subprocess.run(command, cwd=extension, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(tmp_path_factory.mktemp("toy"), registered=True)


def test_it_paints_as_itself(found):
    assert found["status"] == 200
    assert found["changes the picture"]
    assert found["nothing at amount 0"] and found["no other method acts"]


def test_it_is_described_and_checked_by_page_plan_and_generation_alike(found):
    assert "The toy adds 1.5." in found["status line"]
    (unit,) = found["plan"]["units"]
    assert unit["method"] == "toy" and unit["remarks"] == ["it is a toy."]
    sentence = "unit 1: toy_amount is 6.5, which breaks the toy."
    assert found["problem"] == sentence and found["planned problem"] == [sentence]
    assert found["out of range"] == ("unit 1: toy_amount is 8; a number from -3 to 7 is allowed.")


def test_its_fields_are_everywhere(found):
    assert "method: toy" in found["infotext"] and "toy_amount: 1.5" in found["infotext"]
    assert found["pasted"] == ["toy", 1.5, "minus"]
    assert found["schema"]["minimum"] == -3 and found["schema"]["maximum"] == 7
    assert found["axes"] == ["[InstantStyle] toy amount", "[InstantStyle] toy sign"]
    assert found["sliders"] == [["Toy amount", -3, 7]]
    assert found["table"] == [
        "| `toy_amount` | -3 to 7 | 0.5 | what the toy adds to the predicted noise |",
        '| `toy_sign` | plus, minus | "plus" | whether the toy adds or takes |',
    ]


def test_without_its_line_its_name_is_refused(tmp_path):
    found = run(tmp_path, registered=False)
    assert found["status"] == 422
    assert found["detail"].startswith("unit 1: method is 'toy'; one of 'ip-adapter', 'styleid'")
