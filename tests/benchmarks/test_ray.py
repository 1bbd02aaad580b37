"""A run on a Ray cluster of two nodes on this machine, of which one is lost on the way.

Ray is not among the tests' dependencies: `pip install 'ray==2.60.*'`, and run this file alone.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from edge_marl.benchmarks.comparison import tables_without_clock
from tests.benchmarks.test_runner import command, run, wait_for

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")

AGENTS = "random,round-robin,crash-avoid,prophet"

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own


def test_a_lost_node_costs_no_cell_and_changes_no_table(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    out = tmp_path / "ray"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        other = cluster.add_node(num_cpus=1)
        more = ["--executor", "ray", "--address", cluster.address, "--quiet"]
        with (tmp_path / "said").open("wb") as said:
            module = "edge_marl.benchmarks.run_benchmark"
            runner = subprocess.Popen(
                [sys.executable, "-m", module, *command(out, AGENTS, *more)[1:]],
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
            )
        wait_for(lambda: len(list((out / "cells").glob("*.json"))) >= 2, runner)
        cluster.remove_node(other, allow_graceful=False)
        assert runner.wait(timeout=120) == 0, (tmp_path / "said").read_text()
    finally:
        cluster.shutdown()
    assert run(tmp_path / "local", AGENTS, "--quiet") == 0
    assert tables_without_clock(out) == tables_without_clock(tmp_path / "local")
