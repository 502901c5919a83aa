"""What the extension costs while it is off."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

from lib_instantstyle.run import script_hooks
from tests.units import PAGE_FIELDS, PAGE_PICTURES

_IMPORT = """
import sys, time
begin = time.perf_counter()
import lib_instantstyle.run.script_hooks
print(time.perf_counter() - begin, "torch" in sys.modules)
"""
_RUNS = 2000


def costs() -> dict[str, Any]:
    """Seconds: of importing what the script needs, and per generation of its hooks."""
    answers = [
        subprocess.run(
            [sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(3)
    ]
    arguments = [False, *[0.0] * (3 * (len(PAGE_FIELDS) + len(PAGE_PICTURES)))]
    per_generation = []
    for _ in range(_RUNS):
        p = SimpleNamespace(
            extra_generation_params={},
            extra_network_data={},
            prompts=["a cat"],
            negative_prompts=[""],
            all_negative_prompts=[""],
            n_iter=1,
            batch_size=1,
        )
        begin = time.perf_counter()
        script_hooks.before_process(p)
        script_hooks.process(p, arguments)
        script_hooks.process_batch(p, 0)
        script_hooks.process_before_every_sampling(p)
        per_generation.append(time.perf_counter() - begin)
    return {
        "seconds to import": statistics.median(float(seconds) for seconds, _ in answers),
        "imports torch": any(imported == "True" for _, imported in answers),
        "seconds per generation": statistics.median(per_generation),
    }
