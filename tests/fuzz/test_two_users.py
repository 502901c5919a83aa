"""Two users of one folder of ours, in any order of what they do: nothing that one has is lost.

Each has an object of their own, as two WebUIs with one folder have; and what one of them does may
fall between the look and the act of the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.files.own_files import BoundedFolder, create_file
from lib_instantstyle.methods import TABLE
from lib_instantstyle.styles.library import StyleLibrary
from lib_instantstyle.styles.names import same_name
from tests.fuzz.files import METADATA, TENSORS, style_file
from tests.unit.odd_folders import check_answer

users = st.integers(0, 1)
NOBODY_S = ("con", "x" * 90)  # no style may have them
names = st.sampled_from(["ink", "Ink", "e\u0301te\u0301", "\u00e9t\u00e9", "a b", *NOBODY_S])


class TwoInALibrary(RuleBasedStateMachine):
    """Styles are saved, renamed and deleted; each keeps its bytes until somebody deletes it."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name, "styles")
        self.libraries = [StyleLibrary(self.folder, TABLE) for _ in range(2)]
        self.expected = {}  # bytes by name, as names are compared
        self.made = 0

    def teardown(self):
        self.place.cleanup()

    def _style(self):
        """Bytes that no other style has."""
        self.made += 1
        return style_file({**METADATA, "made": str(self.made)}, TENSORS)

    def _refused(self, act):
        """Whether it was, with one sentence."""
        try:
            act()
        except InstantStyleError as error:
            assert str(error).endswith(".")
            check_answer(str(error), self.folder)
            return True
        return False

    @rule(user=users, name=names)
    def take_in(self, user, name):
        data, was_taken = self._style(), same_name(name) in self.expected
        refused = self._refused(lambda: self.libraries[user].take_in(data, name))
        assert refused == (was_taken or name in NOBODY_S)
        if not refused:
            self.expected[same_name(name)] = data

    @rule(user=users, name=names)
    def save_while_the_other_takes_the_name(self, user, name):
        """From another process, between the look whether it is free and the writing."""
        theirs, mine = self._style(), self._style()

        def create(path):
            create_file(path, theirs)
            create_file(path, mine)

        was_taken = same_name(name) in self.expected
        assert self._refused(lambda: self.libraries[user].add(name, create, "saved"))
        if not was_taken and name not in NOBODY_S:
            self.expected[same_name(name)] = theirs

    @precondition(lambda self: self.expected)
    @rule(user=users, name=names, new=names)
    def rename(self, user, name, new):
        old, to = same_name(name), same_name(new)
        may = old in self.expected and new not in NOBODY_S
        may = may and (to == old or to not in self.expected)
        assert self._refused(lambda: self.libraries[user].rename(name, new)) != may
        if may:
            self.expected[to] = self.expected.pop(old)

    @precondition(lambda self: self.expected)
    @rule(user=users, name=names)
    def delete(self, user, name):
        there = same_name(name) in self.expected
        assert self._refused(lambda: self.libraries[user].delete(name)) != there
        self.expected.pop(same_name(name), None)

    @invariant()
    def each_sees_what_is_there(self):
        for library in self.libraries:
            assert library.refused() == []
            found = {same_name(each.name): each.path.read_bytes() for each in library.styles()}
            assert found == self.expected
        if self.folder.exists():
            assert len([*self.folder.iterdir()]) == len(self.expected)  # nothing half-written


class TwoInABoundedFolder(RuleBasedStateMachine):
    """What is read is what was written, or nothing; and there is never too much."""

    CAPACITY = 100

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        path = Path(self.place.name, "kept")
        self.folders = [BoundedFolder(path, ".picture", self.CAPACITY) for _ in range(2)]
        (path / "notes").mkdir(parents=True)
        (path / "of the user.picture").write_bytes(b"x" * 200)

    def teardown(self):
        self.place.cleanup()

    @staticmethod
    def _file(number):
        data = bytes([number]) * (7 * number)
        return hashlib.sha256(data).hexdigest(), data

    @rule(user=users, number=st.integers(1, 20))
    def write(self, user, number):
        digest, data = self._file(number)
        self.folders[user].write(digest, data)
        assert (digest in self.folders[1 - user].digests()) == (len(data) <= self.CAPACITY)

    @rule(user=users, number=st.integers(1, 20))
    def read(self, user, number):
        digest, data = self._file(number)
        found = self.folders[user].read(digest)
        assert found == (data if digest in self.folders[user].digests() else None)

    @rule(user=users, number=st.integers(1, 20))
    def remove(self, user, number):
        digest, _ = self._file(number)
        self.folders[user].remove(digest)
        assert self.folders[1 - user].read(digest) is None

    @rule(user=users, number=st.integers(1, 20))
    def somebody_deletes_it_by_hand(self, user, number):
        digest, _ = self._file(number)
        with contextlib.suppress(FileNotFoundError):
            self.folders[user].path.joinpath(f"{digest}.picture").unlink()

    @invariant()
    def it_is_not_too_full_and_the_user_s_files_stay(self):
        path = self.folders[0].path
        held = sum((path / f"{d}.picture").stat().st_size for d in self.folders[0].digests())
        assert held <= self.CAPACITY
        others = {"notes", "of the user.picture"}
        assert others <= {entry.name for entry in path.iterdir()}


PROFILE = settings(settings.get_profile("fuzz"), stateful_step_count=20)
TestTwoInALibrary = TwoInALibrary.TestCase
TestTwoInALibrary.settings = PROFILE
TestTwoInABoundedFolder = TwoInABoundedFolder.TestCase
TestTwoInABoundedFolder.settings = PROFILE
