"""Settings of the unit tests."""

import pytest
from hypothesis import settings

from tests.unit.left_out import why

# A busy machine is no failure: what is slow is found by looking at durations. The same examples
# each time, so that a change is judged by what it changes; `make fuzz` looks for new ones.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")


def pytest_collection_modifyitems(items):
    for item in items:
        if reason := why(item.nodeid):
            item.add_marker(pytest.mark.skip(reason=reason))
