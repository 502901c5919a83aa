"""The mutations still break something: `make mutate` takes a while and is run by hand."""

from pathlib import Path

import pytest

from tests.mutations.cases import MUTATIONS

LIBRARY = Path(__file__).parents[2] / "lib_instantstyle"
README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_what_a_mutation_breaks_is_there_once_and_its_tests_are(mutation):
    text = (LIBRARY / mutation.file).read_text(encoding="utf8")
    assert text.count(mutation.old) == 1 and mutation.new != mutation.old
    for name in mutation.tests.split():
        assert (README.parents[1] / name).is_file()
    row = f"| {mutation.name} | {mutation.file} | killed |"
    assert row in README.read_text(encoding="utf8")
