"""How much is tried: a short slice in `make test`, FUZZ_EXAMPLES of each property in `make fuzz`.

The slice is the same each time, the many are new ones. Whatever takes longer than five seconds
counts as a hang.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "25")),
    derandomize="FUZZ_EXAMPLES" not in os.environ,
    deadline=5000,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)
settings.load_profile("fuzz")
