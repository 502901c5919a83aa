"""What holds for all tests, before anything of theirs is imported."""

import os

import pytest

# Helpers of tests that assert say as much of what they saw as tests do.
pytest.register_assert_rewrite("tests.host", "tests.fuzz")

# The models are tiny: a second thread costs more than it gives.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Where several processes share the files, these come first, the longest before all: no process is
# to begin a long one when the others have nothing left. The rest keep their order.
LONG = [
    "browser/test_page", "browser/test_units", "webui/test_generation", "browser/test_pictures",
    "webui/test_methods", "browser/test_reload", "host/test_shared_reference",
    "host/test_styleid", "host/test_routes", "host/test_extension",
    "host/miniature/test_server", "host/test_broken_functions", "host/test_flags",
    "host/test_faults", "host/test_written_before", "host/test_two_webuis", "host/test_blora",
    "browser/test_downloads", "browser/test_errors",
    "unit/test_effect_floors", "unit/test_injection", "unit/test_resumable_download",
    "unit/test_bench", "unit/test_image_encoder",
]  # fmt: skip


def pytest_collection_modifyitems(config, items):
    if not hasattr(config, "workerinput"):
        return  # one process: pytest's own order changes checkpoints less often
    place = {f"tests/{file}.py": number for number, file in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.nodeid.split("::")[0], len(LONG)))
