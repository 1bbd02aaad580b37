"""The runner: does a plan's open jobs, each in a process of its own, and keeps their records.

Only the runner writes to the folder. A killed worker therefore leaves nothing behind, and a killed
runner at most loses the jobs that were running; the next run does them again and skips the rest.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any, Protocol

from edge_marl.benchmarks.cells import Anchors, Cell, Plan
from edge_marl.benchmarks.records import (
    Failure,
    Record,
    read_record,
    set_aside,
    write_plan,
    write_record,
)
from edge_marl.errors import RecordError

__all__ = ["Display", "run_plan"]

ONE_THREAD = dict.fromkeys(
    (
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)
"""One thread per job: the cores are shared out over jobs, and no sum depends on their number."""

PACKAGES = (
    "edge-marl",
    "gymnasium",
    "numba",
    "numpy",
    "scipy",
    "tensordict",
    "tianshou",
    "torch",
    "torchrl",
)


class Display(Protocol):
    """Shows how a run goes. Called from several threads."""

    def start(self, total: int, done: int) -> None:
        """The run begins: `total` jobs, of which `done` need not be done again."""

    def message(self, text: str) -> None:
        """Something worth a line has happened."""

    def begin(self, job: Cell | Anchors) -> None:
        """A job's process starts."""

    def progress(
        self, job: Cell | Anchors, phase: str, done: int, total: int, value: float | None
    ) -> None:
        """A job is at step `done` of `total` of a phase, with a utility per task of `value`."""

    def end(self, job: Cell | Anchors, record: Record) -> None:
        """A job has ended and its record is written."""


def run_plan(plan: Plan, folder: Path, workers: int, display: Display) -> int:
    """Do every job of a plan that has no result yet, and return how many have failed.

    Args:
        plan: what to do; written to the folder.
        folder: where the records of this and of earlier runs are.
        workers: jobs at a time.
        display: is told what happens.

    Raises:
        RecordError: if the folder cannot be written to.
        KeyboardInterrupt: on Ctrl-C, after the workers are gone; what was finished is kept.
    """
    write_plan(folder, plan)
    jobs = plan.jobs()
    pending = [job for job in jobs if not _is_done(folder, job, display)]
    pending.sort(key=_turn)
    display.start(len(jobs), len(jobs) - len(pending))
    versions = _versions()
    failed = 0
    with _Workers(workers) as pool:
        for job, outcome in pool.run(pending, display):
            record = Record.model_validate({"job": job, "versions": versions, **outcome})
            write_record(folder, record)
            display.end(job, record)
            failed += record.failure is not None
    return failed


def _turn(job: Cell | Anchors) -> int:
    """The long ones first, so that no core idles while another has a training left to do."""
    if isinstance(job, Anchors):
        return 0
    return 1 if job.budget else 2


def _is_done(folder: Path, job: Cell | Anchors, display: Display) -> bool:
    """Whether a job has a result; a record that cannot be used is set aside, and said."""
    try:
        record = read_record(folder, job)
    except RecordError as error:
        place = set_aside(folder, job)
        display.message(f"{error}; set aside as {place}, and done again")
        return False
    return record is not None and record.failure is None


def _versions() -> dict[str, str]:
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


class _Workers:
    """Processes that each do one job, a limited number at a time; none outlives the `with`."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="cell")
        self._lock = threading.Lock()
        self._live: set[subprocess.Popen[str]] = set()
        self._closed = False

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            for process in self._live:
                process.kill()
        self._pool.shutdown(cancel_futures=True)

    def run(
        self, jobs: list[Cell | Anchors], display: Display
    ) -> Iterator[tuple[Cell | Anchors, dict[str, Any]]]:
        """Do the jobs; give each with its outcome (fields of a `Record`) as it comes."""
        futures = {self._pool.submit(self._do, job, display): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()

    def _do(self, job: Cell | Anchors, display: Display) -> dict[str, Any]:
        start = time.monotonic()
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as noise:
            with self._process(noise) as process:
                display.begin(job)
                outcome = _converse(process, job, display)
                if not outcome:  # let it die by itself, for its exit status
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=10)
            if not outcome:
                outcome = {"failure": _death(process.returncode, noise).model_dump()}
        return {"wall_s": time.monotonic() - start, **outcome}

    @contextmanager
    def _process(self, noise: IO[str]) -> Iterator[subprocess.Popen[str]]:
        with self._lock:
            if self._closed:
                raise RuntimeError("the workers are closed")
            process = subprocess.Popen(
                [sys.executable, "-m", "edge_marl.benchmarks.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=noise,
                text=True,
                encoding="utf-8",
                env=os.environ | ONE_THREAD,
                start_new_session=True,  # Ctrl-C is for the runner, which then ends its workers
            )
            self._live.add(process)
        try:
            yield process
        finally:
            with self._lock:
                self._live.discard(process)
            process.kill()
            process.communicate()


def _converse(
    process: subprocess.Popen[str], job: Cell | Anchors, display: Display
) -> dict[str, Any]:
    """Send a worker its job, pass its progress on, and return its outcome, empty if it died."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("a worker needs pipes for its input and output")
    try:
        process.stdin.write(job.model_dump_json() + "\n")
        process.stdin.flush()
    except BrokenPipeError:  # it died at once; its standard error says why
        return {}
    for line in process.stdout:
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError:  # half a line: it died in the middle of an answer
            break
        if "progress" not in answer:
            return answer
        phase, done, total, value = answer["progress"]
        display.progress(job, phase, done, total, value)
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
