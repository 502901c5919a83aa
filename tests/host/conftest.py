"""Which tests belong to the flavour of the miniature that this environment runs."""

from tests.miniature.flavour import A1111, CLASSIC, FORGE, flavour

# What the miniature must share with A1111 (beside what only its environment has), and the tests of
# the modes laid over it.
_OTHERS = {
    A1111: ["forge_mode", "ldm_patched_mode"],
    FORGE: ["miniature", "ldm_patched_mode", "test_any_request.py"],
    CLASSIC: ["miniature", "forge_mode", "test_any_request.py"],
}
collect_ignore = _OTHERS[flavour()]
