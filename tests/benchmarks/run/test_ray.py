"""Runs on a Ray cluster on this machine, which loses a node and has a GPU by name only.

And an agent as a router of Ray Serve, on the same.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge_marl.benchmarks.measure.without_clock import tables_without_clock
from edge_marl.benchmarks.run.ray_executor import RayExecutor
from edge_marl.serving.log import read_logs
from tests.benchmarks.run.test_runner import HANGS_S, command, records, run, wait_for
from tests.edge_marl.serving.routed import write_routed

pytest.importorskip("ray", reason="Ray is not installed (the extra `ray`)")

pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

WITH_GPU = {"num_cpus": 1, "num_gpus": 1}

OWN_AGENTS = '''
import os, time
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

class Waiting(Seeing):
    """Waits for a file to appear, so that a test can take its node away meanwhile."""

    name = "waiting"

    def reset(self, seed):
        super().reset(seed)
        while not os.path.exists({gate!r}):
            time.sleep(0.05)
'''


class Own:
    """Agents in a file, and what they read and write."""

    def __init__(self, folder: Path) -> None:
        self._file, self._log, self.gate = folder / "own.py", folder / "log", folder / "gate"
        names = {"{log!r}": repr(str(self._log)), "{gate!r}": repr(str(self.gate))}
        code = OWN_AGENTS
        for name, value in names.items():
            code = code.replace(name, value)
        self._file.write_text(code)

    def agent(self, name: str) -> str:
        return f"{self._file}:{name}"

    def seen(self) -> list[str]:
        """What was written down since the last time."""
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path)


@pytest.fixture(autouse=True, scope="module")
def _tells_nobody() -> Iterator[None]:
    """Ray reports to its makers unless it is told not to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of two nodes, one of them with a GPU by name; nothing of it is left afterwards."""
    from ray.cluster_utils import Cluster

    # A node that was asked five times is given up: here after seconds, not a quarter of a minute.
    # Its workers stand back for all else that runs (nice 15), and here the tests wait for them.
    quick = {"health_check_period_ms": 1000, "worker_niceness": 0}
    made = Cluster()
    try:
        made.add_node(num_cpus=1, num_gpus=0, include_dashboard=False, _system_config=quick)
        made.add_node(**WITH_GPU)
        made.wait_for_nodes(timeout=HANGS_S)
        yield made
    finally:
        made.shutdown()


@contextmanager
def started(out: Path, agents: str, cluster: Any, *more: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a process of its own: Ray can be connected to once per process."""
    more = ("--executor", "ray", "--address", cluster.address, "--quiet", *more)
    runner = subprocess.Popen(
        [sys.executable, "-m", "edge_marl", *command(out, agents, *more)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield runner
    finally:
        runner.kill()
        runner.wait()


def end_of(out: Path, agents: str, cluster: Any, *more: str) -> tuple[int, str]:
    """Return a run's exit code, and what it said."""
    with started(out, agents, cluster, *more) as runner:
        said, _ = runner.communicate(timeout=HANGS_S)
        return runner.returncode, said


def test_a_lost_node_costs_no_cell_and_changes_no_table(
    tmp_path: Path, own: Own, cluster: Any
) -> None:
    out, agent = tmp_path / "ray", own.agent("Waiting")

    def started_again() -> bool:
        return len(own.seen()) > 2

    def has_failed() -> bool:
        return any(record.failure for record in records(out).values())

    with started(out, agent, cluster) as runner:
        wait_for(lambda: len(own.seen()) == 2, runner)  # a cell waits on each node
        (lost,) = cluster.worker_nodes
        cluster.remove_node(lost, allow_graceful=False)
        cluster.add_node(wait=False, **WITH_GPU)
        wait_for(lambda: started_again() or has_failed(), runner)
        assert started_again()
        own.gate.touch()
        said, _ = runner.communicate(timeout=HANGS_S)
        assert runner.returncode == 0, said
    assert "0" not in own.seen()  # what reserves no GPU is given none
    assert run(tmp_path / "local", agent, "--quiet") == 0
    assert tables_without_clock(out) == tables_without_clock(tmp_path / "local")


def test_cells_that_reserve_a_gpu_run_where_one_is_and_are_given_it(
    tmp_path: Path, own: Own, cluster: Any
) -> None:
    few = ("--seeds", "1", "--episodes", "1", "--gpus-per-cell", "1")
    code, said = end_of(tmp_path / "gpu", own.agent("Seeing"), cluster, *few)
    assert code == 0, said
    assert set(own.seen()) == {"0"}


def test_what_no_node_has_is_one_message_and_no_wait(tmp_path: Path, cluster: Any) -> None:
    code, said = end_of(tmp_path / "run", "random", cluster, "--gpus-per-cell", "2")
    said = " ".join(said.split())
    assert code == 2, said
    assert "--gpus-per-cell" in said
    assert "1 cores and 1 GPUs" in said
    assert "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("asked", "room"),
    [((1, 0.0), 3), ((1, 1.0), 1), ((1, 0.5), 2), ((1, 2.0), 0), ((2, 0.0), 1), ((3, 0.0), 0)],
)
def test_room_is_what_fits_on_single_nodes(
    asked: tuple[int, float], room: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = RayExecutor.__new__(RayExecutor)  # connected to nothing
    executor._threads, executor._gpus = asked
    monkeypatch.setattr(executor, "_nodes", lambda: [{"CPU": 1.0}, {"CPU": 2.0, "GPU": 1.0}])
    assert executor._room() == room
    told = f"reserves {asked[0]} cores (--threads)"
    told += f" and {asked[1]:g} GPUs (--gpus-per-cell)" if asked[1] else " on one node"
    assert told in executor._shortage()


def test_shares_of_gpus_are_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "run", "random", "--executor", "ray", "--gpus-per-cell", "1.5") == 2
    assert "--gpus-per-cell 1.5: must be a whole number" in capsys.readouterr().err


def test_an_agent_routes_the_calls_of_ray_serve(tmp_path: Path, cluster: Any) -> None:
    """Of `edge_marl.cli.serving.ray_router`; here, for a cluster takes its time."""
    write_routed(tmp_path)
    app = Path(__file__).parents[2] / "edge_marl" / "serving" / "ray_app.py"
    told = [sys.executable, app, cluster.address, tmp_path]
    subprocess.run(told, timeout=HANGS_S, check=True)
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    got = {"type": 1, "model": "y", "steps": 100}
    assert found["alone"] == [got | {"k": k} for k in range(3)]
    (large, status), (no_dict, _) = found["wrong"]
    assert (large, status) == ("it asks for 1000 steps: scenario 'smoke' has at most 240", 400)
    assert no_dict.startswith("the first argument of the call is no dict but int: ")
    assert found["crowd"] == [got | {"k": k, "work_s": 0.1} for k in range(6)]
    assert found["asked"] < 200  # Ray waits for a replica that is full, and does not spin
    assert "what a replica may raise" in found["told"]
    assert [k for k, _, _ in found["many"]] == list(range(1000))
    had: dict[str, int] = {}
    for _, name, count in found["many"]:
        had[name] = max(count, had.get(name, 0))
    assert sum(had.values()) == 1000  # none was sent twice
    (log,) = (tmp_path / "many").iterdir()
    assert read_logs([log]).outcomes == {"served": 1000}
    (log,) = (tmp_path / "logs").iterdir()
    history = read_logs([log])
    assert history.outcomes == {"served": 10}  # what it raised is an answer too
    assert [asked.demand for _, _, asked in history.arrived] == [100] * 10
