"""Which tests belong to the flavour of the miniature that this environment runs."""

from tests.miniature.flavour import A1111, flavour

# What the miniature must share with A1111 (beside what only its environment has), and the tests of
# the mode laid over it.
collect_ignore = ["forge_mode"] if flavour() == A1111 else ["miniature", "test_any_request.py"]
