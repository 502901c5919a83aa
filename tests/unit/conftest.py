"""Settings of the unit tests."""

from hypothesis import settings

# A busy machine is no failure: what is slow is found by looking at durations.
settings.register_profile("project", deadline=None)
settings.load_profile("project")
