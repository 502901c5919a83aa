"""Settings of the unit tests."""

from hypothesis import settings

# A busy machine is no failure: what is slow is found by looking at durations. The same examples
# each time, so that a change is judged by what it changes; `make fuzz` looks for new ones.
settings.register_profile("project", deadline=None, derandomize=True)
settings.load_profile("project")
