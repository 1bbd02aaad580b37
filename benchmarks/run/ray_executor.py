"""The executor for clusters: each job is a task of Ray's, which starts the job's own process.

The process is the same as on one machine (`executors.run_in_process`), so are the records. Every
node needs this package in the same version; the run's folder need only be seen by the runner. A
task whose node is lost is started again on another one.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from edge_marl.benchmarks.records.provenance import Meter
from edge_marl.benchmarks.records.records import Failure
from edge_marl.benchmarks.run.executors import run_in_process
from edge_marl.benchmarks.run.task import Outcome, Report, Task
from edge_marl.errors import SuiteError

__all__ = ["RayExecutor"]

LOST_NODES = 5
"""A job is started again so often if its node is lost."""

PROGRESS_EVERY_S = 1.0


class RayExecutor:
    """Tasks of a Ray cluster.

    Args:
        address: of the cluster (`auto`, `host:port`, `ray://host:port`); None starts one here.
        threads: cores that a job reserves.
        gpus: GPUs that a job reserves.
        most: jobs at a time; None is as many as the cluster has room for.

    Raises:
        SuiteError: ray is not installed, the cluster cannot be reached, or none of its nodes has
            what a job reserves.
    """

    def __init__(
        self, address: str | None, *, threads: int = 1, gpus: float = 0.0, most: int | None = None
    ) -> None:
        try:
            import ray
        except ImportError:
            raise SuiteError("--executor ray needs Ray: pip install 'edge-marl[ray]'") from None
        self._ray: Any = ray
        self._threads, self._gpus, self._most = threads, gpus, most
        try:
            ray.init(
                address or "local",
                log_to_driver=False,
                include_dashboard=False if not address else None,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise SuiteError(f"--address {address}: no Ray cluster there ({error})") from None
        if self._room() == 0:
            told = self._shortage()
            ray.shutdown()
            raise SuiteError(told)
        board = ray.remote(_Board)
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=False
        )
        self._board = board.options(num_cpus=0, scheduling_strategy=here).remote()
        self._do = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=LOST_NODES, max_calls=1)(
            _do
        )
        self._refs: dict[str, tuple[Any, Report]] = {}
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._pass_progress_on, daemon=True)
        self._watch.start()

    @property
    def slots(self) -> int:
        """Jobs that the cluster has room for, as it is now; at least one, that waits for room."""
        room = self._room()
        return max(1, min(room, self._most or room))

    def _room(self) -> int:
        """Jobs that fit on the nodes that are there, if nothing else runs on them."""
        room = 0
        for node in self._nodes():
            fits = node.get("CPU", 0.0) // self._threads
            room += int(min(fits, node.get("GPU", 0.0) // self._gpus) if self._gpus else fits)
        return room

    def _nodes(self) -> list[dict[str, float]]:
        """What each node has, by resource."""
        return [node["Resources"] for node in self._ray.nodes() if node["Alive"]]

    def _shortage(self) -> str:
        nodes = ", ".join(
            f"{node.get('CPU', 0.0):g} cores and {node.get('GPU', 0.0):g} GPUs"
            for node in self._nodes()
        )
        gpus = f" and {self._gpus:g} GPUs (--gpus-per-cell)" if self._gpus else ""
        return (
            f"a cell reserves {self._threads} cores (--threads){gpus} on one node, and no node has "
            f"that: they have {nodes}. Ask for less, or add a node first"
        )

    def submit(self, task: Task, report: Report) -> Future[Outcome]:
        """Start a job (see `Executor.submit`)."""
        ref = self._do.remote(task.model_dump_json(), self._board)
        self._refs[task.job.key] = ref, report
        outcome: Future[Outcome] = Future()

        def ended(done: Future[Outcome]) -> None:
            self._refs.pop(task.job.key, None)
            try:
                outcome.set_result(done.result())
            except Exception as error:  # Ray gave up: nodes were lost too often, or no memory
                outcome.set_result(_gave_up(error, self._threads))

        ref.future().add_done_callback(ended)
        return outcome

    def close(self) -> None:
        """End every job that is running, and leave the cluster."""
        self._over.set()
        for ref, _ in list(self._refs.values()):
            self._ray.cancel(ref, force=True)
        self._watch.join()
        self._ray.shutdown()

    def _pass_progress_on(self) -> None:
        while not self._over.wait(PROGRESS_EVERY_S):
            try:
                news = self._ray.get(self._board.take.remote())
            except self._ray.exceptions.RayError:
                return
            for key, state in news.items():
                if key in self._refs:
                    self._refs[key][1](*state)


class _Board:
    """The last progress of each job, until it is taken."""

    def __init__(self) -> None:
        self._news: dict[str, tuple[Any, ...]] = {}

    def put(self, key: str, state: tuple[Any, ...]) -> None:
        self._news[key] = state

    def take(self) -> dict[str, tuple[Any, ...]]:
        news, self._news = self._news, {}
        return news


def _do(text: str, board: Any) -> Outcome:
    """Do a job, on whatever node this is."""
    task = Task.model_validate_json(text)
    return run_in_process(task, lambda *state: board.put.remote(task.job.key, state))


def _gave_up(error: Exception, threads: int) -> Outcome:
    reason = " ".join(f"Ray gave up: {type(error).__name__}: {error}".split())[:500]
    failure = Failure(reason=reason, traceback=str(error)[-8000:])
    provenance = Meter(threads).read()
    return {"failure": failure.model_dump(), "provenance": provenance.model_dump(mode="json")}
