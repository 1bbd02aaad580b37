"""Machine code for policies' processes, made once for all that a verifier starts.

What a process keeps in its sandbox is gone with it, so each would compile the same functions anew,
which takes longer than to decide. They are compiled beforehand, by an agent of the package in a
process of its own, into a folder of which each policy's process is given a copy. None can write to
the folder itself, and so tell another one anything by it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from functools import cache
from pathlib import Path

import numpy as np

from edge_marl.agents.heuristics.bid_price import BidPrice
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["compiled_for"]


_ONE_AT_A_TIME = threading.Lock()
"""Policies are opened by several threads: the first makes it, the others wait."""


def compiled_for(scenario: Scenario) -> Path:
    """Return the folder of what is compiled for a scenario, as Numba keeps it.

    It is there until this process ends. Where nothing can be compiled it is empty, and policies do
    it themselves.
    """
    with _ONE_AT_A_TIME:
        return Path(_compiled(scenario.model_dump_json()).name)


@cache
def _compiled(scenario: str) -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="edge-marl-compiled-")
    subprocess.run(
        [sys.executable, "-P", "-m", __name__],
        input=scenario.encode(),
        env=dict(os.environ) | {"NUMBA_CACHE_DIR": folder.name},
        capture_output=True,
        check=False,
    )
    return folder


def main() -> None:
    """Compile for the scenario on standard input, by deciding once."""
    scenario = Scenario.model_validate_json(sys.stdin.read())
    agent = BidPrice(
        scenario
    )  # it looks at all that heuristics and networks take from what is seen
    agent.reset(0)
    seen = np.zeros((1, ObservationLayout(scenario).size), np.float32)
    mask = np.ones((1, scenario.num_actions), np.int8)
    agent.act(seen, {"action_mask": mask, "agent_index": np.zeros(1, np.int64)})


if __name__ == "__main__":
    main()
