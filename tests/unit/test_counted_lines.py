"""What is counted as run is what was run, and of our code alone."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

from lib_instantstyle.files import own_files
from lib_instantstyle.unet import progress

ROOT = Path(__file__).parents[2]
A_TEST = """
import pytest
from lib_instantstyle.unet.progress import acting_steps

@pytest.mark.parametrize("steps", range(100))
def test_it(steps):
    assert acting_steps(0, 1, steps) == [*range(steps)]
"""


def last_line(function):
    lines, first = inspect.getsourcelines(function)
    return first + len(lines) - 1


def test_lines_that_ran_and_no_others(tmp_path):
    (tmp_path / "test_a.py").write_text(A_TEST, encoding="utf8")
    counted = tmp_path / "counted"
    counted.mkdir()
    (counted / "1.json").write_text("of an earlier run", encoding="utf8")
    run = [sys.executable, "-m", "pytest", "-q", "-p", "tests.counted_lines", "--counted-lines"]
    run += [str(counted), str(tmp_path), "-p", "no:cacheprovider", f"--rootdir={ROOT}"]
    subprocess.run(run, cwd=ROOT, check=True, capture_output=True)
    (file,) = counted.iterdir()
    files = {Path(k).resolve(): v for k, v in json.loads(file.read_text("utf8"))["files"].items()}
    assert all(path.is_relative_to(ROOT / "lib_instantstyle") for path in files)
    assert Path(inspect.getfile(own_files)) not in files
    found = files[Path(inspect.getfile(progress))]
    ran, others = found["executed_lines"], found["missing_lines"]
    assert last_line(progress.acting_steps) in ran and last_line(progress.acts) in ran
    assert last_line(progress.completed_fraction) in others
    assert found["missing_branches"] != [] and not set(ran) & set(others)
