"""How long a new process takes to its first step: with machine code kept on disk, and without."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

from edge_marl.benchmarks.speed.findings import StartRow
from edge_marl.errors import SuiteError
from edge_marl.scenario import Scenario

__all__ = ["measure_start"]

WARM = 3
"""Warm starts, of which the median counts."""

CODE = """
import sys, time
begun = time.perf_counter()
import edge_marl
imported = time.perf_counter()
import gymnasium
from edge_marl.scenario import Scenario
scenario = Scenario.model_validate_json(sys.argv[1])
env = gymnasium.make("EdgeAIGC-v0", scenario=scenario, disable_env_checker=True)
env.reset(seed=0)
env.step(0)
print(imported - begun, time.perf_counter() - begun)
"""


def measure_start(scenario: Scenario, cold: bool) -> StartRow:
    """Return how long a process takes to import the package, and to its first step.

    Args:
        scenario: what it plays.
        cold: whether to compile anew, which takes longest.

    Raises:
        SuiteError: such a process fails.
    """
    with tempfile.TemporaryDirectory() as empty:
        cold_s = _start(scenario, os.environ | {"NUMBA_CACHE_DIR": empty})[1] if cold else None
    runs = [_start(scenario, os.environ) for _ in range(WARM)]
    import_s, warm_s = (statistics.median(times) for times in zip(*runs, strict=True))
    return StartRow(tier=scenario.label, import_s=import_s, warm_s=warm_s, cold_s=cold_s)


def _start(scenario: Scenario, environment: os._Environ[str] | dict[str, str]) -> list[float]:
    command = [sys.executable, "-c", CODE, scenario.model_dump_json()]
    run = subprocess.run(command, capture_output=True, text=True, env=environment)
    if run.returncode:
        said = run.stderr.strip().splitlines()[-1:] or ["no message"]
        raise SuiteError(f"a new process does not get to its first step: {said[0]}")
    return [float(text) for text in run.stdout.split()]
