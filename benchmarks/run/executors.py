"""Executors: where jobs are done. Processes on this machine, or those of a Ray cluster's nodes.

Either way a job is a process of its own that is handed a `Task` and answers with lines of JSON
(`worker.py`), so that a record does not depend on the executor.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Protocol

from edge_marl.benchmarks.records.provenance import Meter
from edge_marl.benchmarks.records.records import Failure
from edge_marl.benchmarks.run.task import Outcome, Report, Task

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Executor", "Processes", "run_in_process"]

THREADS = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


class Executor(Protocol):
    """Does jobs side by side."""

    @property
    def slots(self) -> int:
        """Jobs that it can do at a time, now."""

    def submit(self, task: Task, report: Report) -> Future[Outcome]:
        """Start a job; whatever goes wrong in it is an outcome with a failure."""

    def close(self) -> None:
        """End every job that is running, and return when it is gone."""


class Processes:
    """Processes on this machine, a limited number at a time.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        self.slots = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="cell")
        self._live = _Live()

    def submit(self, task: Task, report: Report) -> Future[Outcome]:
        """Start a job (see `Executor.submit`)."""
        return self._pool.submit(run_in_process, task, report, self._live)

    def close(self) -> None:
        """End every job that is running."""
        self._live.kill()
        self._pool.shutdown(cancel_futures=True)


class _Live:
    """Processes that are running; none starts after they were killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[str]] = set()
        self._closed = False

    def kill(self) -> None:
        with self._lock:
            self._closed = True
            for process in self._processes:
                process.kill()

    @contextmanager
    def process(self, threads: int, noise: IO[str]) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the workers are closed")
            process = subprocess.Popen(
                # -P: a file of the working folder must not stand in for a library's.
                [sys.executable, "-P", "-m", "edge_marl.benchmarks.run.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                text=True,
                encoding="utf-8",
                env=os.environ | dict.fromkeys(THREADS, str(threads)),
                start_new_session=True,  # Ctrl-C is for the runner, which then ends its workers
            )
            self._processes.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._processes.discard(process)
            process.kill()
            process.communicate()


def run_in_process(task: Task, report: Report, live: _Live | None = None) -> Outcome:
    """Do a job in a process of its own and return its outcome, a failure if it died."""
    meter = Meter(task.threads)
    live = live or _Live()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as noise:
        with live.process(task.threads, noise) as process:
            outcome = _converse(process, task, report)
            if not outcome:  # let it die by itself, for its exit status
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=10)
        if not outcome:
            outcome = {
                "failure": _death(process.returncode, noise).model_dump(),
                "provenance": meter.read().model_dump(mode="json"),
            }
    return outcome


def _converse(process: subprocess.Popen[str], task: Task, report: Report) -> Outcome:
    """Send a worker its job, pass its progress on, and return its outcome, empty if it died."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a worker needs pipes for its input and output")
    try:
        process.stdin.write(task.model_dump_json() + "\n")
        process.stdin.flush()
    except BrokenPipeError:  # it died at once; its standard error says why
        return {}
    for line in process.stdout:
        try:
            answer: Outcome = json.loads(line)
        except ValueError:  # half a line: it died in the middle of an answer
            break
        if "progress" not in answer:
            return answer
        report(*answer["progress"])
    return {}


def _death(status: int, noise: IO[str]) -> Failure:
    """Describe the end of a worker that gave no answer, with what it wrote last."""
    cause = f"signal {-status}" if status < 0 else f"exit status {status}"
    hint = ", perhaps for want of memory" if status == -9 else ""
    noise.seek(0)
    return Failure(
        reason=f"its process ended without an answer ({cause}{hint})",
        traceback=noise.read()[-8000:],
    )
