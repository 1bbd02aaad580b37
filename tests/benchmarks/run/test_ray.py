"""Runs on Ray clusters on this machine: one that loses a node, and one with a GPU by name only.

Ray is not among the tests' dependencies: `pip install 'ray==2.60.*'`, and run this file alone.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_marl.benchmarks.measure.without_clock import tables_without_clock
from tests.benchmarks.run.test_runner import command, run, wait_for

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")

AGENTS = "random,round-robin,crash-avoid,prophet"

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

SEEING = '''
import os
import numpy as np
from edge_marl.agents.base import Agent

class Seeing(Agent):
    """Writes down which GPUs it may use."""

    name = "seeing"
    deterministic = False

    def reset(self, seed):
        with open({log!r}, "a") as log:
            log.write(os.environ.get("CUDA_VISIBLE_DEVICES", "none") + "\\n")

    def act(self, observation, info):
        return np.zeros(len(observation), dtype=np.int64)
'''


@contextmanager
def cluster_of(**head: float) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def start(out: Path, agents: str, address: str, *more: str) -> subprocess.Popen[str]:
    """Start a run in a process of its own: Ray can be connected to once per process."""
    args = [*command(out, agents, "--executor", "ray", "--address", address, "--quiet", *more)[1:]]
    return subprocess.Popen(
        [sys.executable, "-m", "edge_marl", "run", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_lost_node_costs_no_cell_and_changes_no_table(tmp_path: Path) -> None:
    out = tmp_path / "ray"
    with cluster_of(num_cpus=1) as cluster:
        other = cluster.add_node(num_cpus=1)
        runner = start(out, AGENTS, cluster.address)
        wait_for(lambda: len(list((out / "cells").glob("*.json"))) >= 2, runner)
        cluster.remove_node(other, allow_graceful=False)
        said, _ = runner.communicate(timeout=120)
        assert runner.returncode == 0, said
    assert run(tmp_path / "local", AGENTS, "--quiet") == 0
    assert tables_without_clock(out) == tables_without_clock(tmp_path / "local")


def test_cells_that_reserve_a_gpu_run_where_one_is_and_are_given_it(tmp_path: Path) -> None:
    log = tmp_path / "log"
    (tmp_path / "own.py").write_text(SEEING.replace("{log!r}", repr(str(log))))
    agent = f"{tmp_path / 'own.py'}:Seeing"
    with cluster_of(num_cpus=2, num_gpus=0) as cluster:
        cluster.add_node(num_cpus=2, num_gpus=1)
        runner = start(tmp_path / "gpu", agent, cluster.address, "--gpus-per-cell", "1")
        said, _ = runner.communicate(timeout=120)
        assert runner.returncode == 0, said
        with_gpu = set(log.read_text().splitlines())
        log.unlink()
        runner = start(tmp_path / "none", agent, cluster.address)
        said, _ = runner.communicate(timeout=120)
        assert runner.returncode == 0, said
        assert with_gpu == {"0"}
        assert "0" not in log.read_text().splitlines()


@pytest.mark.parametrize(
    ("asked", "has"),
    [
        (["--gpus-per-cell", "2"], "1 cores and 1 GPUs"),
        (["--threads", "3"], "1 cores and 1 GPUs"),
        (["--gpus-per-cell", "1.5"], "a whole number"),
    ],
)
def test_what_no_node_has_is_one_message_and_no_wait(
    tmp_path: Path, asked: list[str], has: str
) -> None:
    with cluster_of(num_cpus=1, num_gpus=1) as cluster:
        runner = start(tmp_path / "run", "random", cluster.address, *asked)
        said = " ".join(runner.communicate(timeout=60)[0].split())
    assert runner.returncode == 2, said
    assert has in said
    assert asked[0] in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()
