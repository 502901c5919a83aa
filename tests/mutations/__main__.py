"""Apply each mutation to a copy of the repository and see whether its tests fail.

    python -m tests.mutations [--only TEXT] [--write]

--write puts the results into tests/README.md. Exit status 1 if a mutation survived, or if its text
is no longer in the code.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.mutations.cases import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]
README = ROOT / "tests" / "README.md"
BEGIN, END = "<!-- mutations -->", "<!-- end of mutations -->"
SECONDS = 900
KILLED, SURVIVED, GONE = "killed", "SURVIVED", "GONE"


@dataclass(frozen=True)
class Result:
    """What became of a mutation, and who noticed."""

    mutation: Mutation
    outcome: str
    by: str = ""
    seconds: float = 0.0


def copy_of_the_repository(target: Path) -> Path:
    """Files that git knows, and new ones it does not ignore; environments are shared by a link."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file() and not (ROOT / name).is_symlink():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)
    return target


def run_tests(copy: Path, tests: str, chosen: str = "") -> tuple[int, str]:
    """Status and output of pytest in the copy, in the environment that the tests need."""
    environment = "engine" if tests.startswith("tests/unit") else "page-3.41"
    python = ROOT / ".venv" / environment / "bin" / "python"
    files = [name for name in tests.split() if (copy / name).exists()]
    command = [str(python), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *files]
    command += ["-k", chosen] if chosen else []
    settings = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=settings, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return 1, "FAILED (no answer in time)"
    return done.returncode, done.stdout + done.stderr


def judge(copy: Path, mutation: Mutation) -> Result:
    """Break the copy, run the tests, put it back."""
    file = copy / "lib_instantstyle" / mutation.file
    text = file.read_text(encoding="utf8") if file.exists() else ""
    if text.count(mutation.old) != 1:
        count = text.count(mutation.old)
        return Result(mutation, GONE, f"its text stands in {mutation.file} {count} times")
    started = time.monotonic()
    file.write_text(text.replace(mutation.old, mutation.new), encoding="utf8")
    try:
        status, output = run_tests(copy, mutation.tests, mutation.chosen)
    finally:
        file.write_text(text, encoding="utf8")
    seconds = time.monotonic() - started
    if status == 5:  # pytest collected nothing
        return Result(mutation, GONE, f"no test is chosen by {mutation.chosen!r}", seconds)
    if status == 0:
        return Result(mutation, SURVIVED, mutation.tests, seconds)
    found = re.search(r"^(?:FAILED|ERROR) (tests/.*?)(?: - |$)", output, re.M)
    return Result(mutation, KILLED, found[1] if found else output[-80:].strip(), seconds)


def healthy(copy: Path, mutations: list[Mutation]) -> bool:
    """Whether the tests pass before anything is broken: a red test would kill everything."""
    for tests, chosen in dict.fromkeys((m.tests, m.chosen) for m in mutations):
        status, output = run_tests(copy, tests, chosen)
        if status not in (0, 5):
            print(f"{tests} {chosen}: fails with nothing broken\n{output[-3000:]}")
            return False
    return True


def summary(results: list[Result]) -> str:
    killed = sum(result.outcome == KILLED for result in results)
    return f"{killed} of {len(results)} killed."


def row(result: Result) -> str:
    """One line of the Markdown table."""
    by = result.by.removeprefix("tests/").replace("|", "\\|")
    return f"| {result.mutation.name} | {result.mutation.file} | {result.outcome} | `{by}` |"


def write(results: list[Result]) -> None:
    """Put the results between their marks in tests/README.md; what was not run stays as it was."""
    before, _, rest = README.read_text(encoding="utf8").partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {line.split(" | ")[0].strip("| "): line for line in old.splitlines() if " | " in line}
    rows.update({result.mutation.name: row(result) for result in results})
    known = [rows[m.name] for m in MUTATIONS if m.name in rows]
    killed = sum(f"| {KILLED} |" in line for line in known)
    text = "\n".join(
        [
            f"{killed} of {len(MUTATIONS)} killed.",
            "",
            "| mutation | in | result | by |",
            "| --- | --- | --- | --- |",
            *known,
        ]
    )
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.mutations", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", default="", help="mutations whose name, file or tests contain this"
    )
    parser.add_argument("--write", action="store_true", help="put the results into tests/README.md")
    parser.add_argument("--trust", action="store_true", help="do not run the tests unbroken first")
    arguments = parser.parse_args()
    chosen = [m for m in MUTATIONS if arguments.only in f"{m.name} {m.file} {m.tests}"]
    results = []
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        copy = copy_of_the_repository(Path(folder))
        if not arguments.trust and not healthy(copy, chosen):
            return 1
        for mutation in chosen:
            result = judge(copy, mutation)
            results.append(result)
            told = f"{result.outcome:<9}{result.seconds:6.1f} s  {mutation.name}: {result.by}"
            print(told, flush=True)
    print(summary(results))
    if arguments.write:
        write(results)
    return int(any(result.outcome != KILLED for result in results))


if __name__ == "__main__":
    sys.exit(main())
