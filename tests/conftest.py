"""What holds for all tests, before anything of theirs is imported."""

import os

# The models are tiny: a second thread costs more than it gives.
os.environ.setdefault("OMP_NUM_THREADS", "1")
