"""The runner: does a plan's open jobs on an executor, and keeps their records.

Only the runner writes records and agents. A killed worker therefore leaves nothing behind, and a
killed runner at most loses the jobs that were running; the next run does them again (a training
goes on from the state that it kept) and skips the rest. Several runners may work on one folder:
each job is claimed first (`locks.py`), and looked for again once it is.
"""

from __future__ import annotations

import shutil
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any, Protocol

from edge_marl.benchmarks.plan.cells import Anchors, Cell, Plan
from edge_marl.benchmarks.records.records import (
    Failure,
    Record,
    read_record,
    set_aside,
    write_plan,
    write_record,
)
from edge_marl.benchmarks.run import kept_agents
from edge_marl.benchmarks.run.executors import Executor
from edge_marl.benchmarks.run.locks import Locks
from edge_marl.benchmarks.run.task import Task
from edge_marl.errors import RecordError

__all__ = ["Display", "run_plan"]

POLL_S = 0.5
"""How often jobs that other runners are at are looked at again."""


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
        """A job has ended and its record is written, by this runner or by another."""


def run_plan(
    plan: Plan, folder: Path, executor: Executor, display: Display, *, retry_failed: bool = False
) -> int:
    """Do every job of a plan that has no record yet, and return how many of the plan have failed.

    Args:
        plan: what to do; written to the folder.
        folder: where the records of this and of earlier runs are.
        executor: does the jobs; closed at the end.
        display: is told what happens.
        retry_failed: do jobs again that have failed before.

    Raises:
        RecordError: if the folder cannot be written to.
        KeyboardInterrupt: on Ctrl-C, after the workers are gone; what was finished is kept.
    """
    try:
        with Locks(folder) as locks:
            write_plan(folder, plan)
            return _Run(plan, folder, executor, display, locks, retry_failed).finish()
    finally:
        executor.close()


class _Run:
    """What is open, what is running, and what has failed."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        executor: Executor,
        display: Display,
        locks: Locks,
        retry_failed: bool,
    ) -> None:
        self._folder, self._executor = folder, executor
        self._display, self._locks = display, locks
        self._trainers = plan.trained_by()
        self._running: dict[Future[dict[str, Any]], Cell | Anchors] = {}
        self._jobs = plan.jobs()
        self._before: dict[str, Record] = {}
        """Failures that are done again."""
        self._open: dict[str, Cell | Anchors] = {}
        self._failed = 0
        for job in self._jobs:
            self._sort_in(job, retry_failed)
        self._lost = self._lost_agents()
        self._open |= self._lost
        self._turns = sorted(self._open.values(), key=_turn)
        display.start(len(self._jobs), len(self._jobs) - len(self._open))

    def _sort_in(self, job: Cell | Anchors, retry_failed: bool) -> None:
        """Look whether a job is open; its record is let go, thousands do not fit into memory."""
        record = self._peek(job)
        if record is None:
            self._open[job.key] = job
        elif record.failure is not None and retry_failed:
            self._before[job.key] = record
            self._open[job.key] = job
        else:
            self._failed += record.failure is not None

    def finish(self) -> int:
        """Do what is open; return how many jobs of the plan have failed."""
        while self._open or self._running:
            self._fill()
            if self._running:
                done, _ = wait(self._running, POLL_S, FIRST_COMPLETED)
                for future in done:
                    self._end(self._running.pop(future), future.result())
            elif self._open:
                sleep(POLL_S)
        self._locks.clear(self._jobs)
        return self._failed

    def _fill(self) -> None:
        """Start open jobs while there is room."""
        busy = {job.key for job in self._running.values()}
        self._turns = [job for job in self._turns if job.key in self._open]
        for job in self._turns:
            if len(self._running) >= self._executor.slots:
                return
            trainer = self._trainer(job)
            if trainer is not None and (trainer.key in self._open or trainer.key in busy):
                continue  # its agent is still being trained
            if not self._locks.claim(job):
                continue
            del self._open[job.key]
            busy.add(job.key)
            if (record := self._done_elsewhere(job)) is not None:
                self._locks.release(job)
                self._close(job, record)
            else:
                self._start(job, trainer)

    def _done_elsewhere(self, job: Cell | Anchors) -> Record | None:
        """Return the record that another runner has made of an open job meanwhile."""
        record = self._look(job)
        if record is None or record == self._before.get(job.key):
            return None
        if self._lost.pop(job.key, None) is not None:
            kept = record.result.checkpoint if record.result else None
            if kept is not None and not kept_agents.is_intact(self._folder, kept):
                place = set_aside(self._folder, job)
                self._display.message(
                    f"{kept.folder}: missing or changed; the record of {job.label} is set aside "
                    f"as {place}, and done again"
                )
                return None
        return record

    def _start(self, job: Cell | Anchors, trainer: Cell | None) -> None:
        agent = None
        if trainer is not None:
            record = read_record(self._folder, trainer)
            if record is None or record.result is None or record.result.checkpoint is None:
                self._fail(job, f"the agent was not trained: {trainer.label} has failed")
                return
            agent = kept_agents.read(self._folder / record.result.checkpoint.folder)
        state = None
        if isinstance(job, Cell) and job.budget and agent is None:
            state = self._state_of(job).absolute()
        self._display.begin(job)
        report = partial(self._display.progress, job)
        future = self._executor.submit(Task(job=job, agent=agent, state=state), report)
        self._running[future] = job

    def _fail(self, job: Cell | Anchors, reason: str) -> None:
        from edge_marl.benchmarks.records.provenance import Meter

        failure = Failure(reason=reason, traceback="").model_dump()
        self._end(job, {"failure": failure, "provenance": Meter(1).read().model_dump()})

    def _end(self, job: Cell | Anchors, outcome: dict[str, Any]) -> None:
        """Keep what a job has found: its agent first, so that no record names a missing one."""
        files = outcome.pop("agent", None)
        if files is not None and isinstance(job, Cell):
            trainer = self._trainers.get(job.training_key, job)
            checkpoint = kept_agents.checkpoint_of(trainer, files)
            outcome["result"]["checkpoint"] = checkpoint.model_dump()
        record = Record.model_validate({"job": job, **outcome})
        if not self._locks.holds(job):  # this process was taken for dead, another has the job
            self._open[job.key] = job
            self._turns.append(job)
            return
        if files is not None and trainer == job:
            kept_agents.keep(self._folder, checkpoint, files)
        write_record(self._folder, record)
        if isinstance(job, Cell) and record.result is not None:
            with suppress(OSError):
                shutil.rmtree(self._state_of(job))
        self._locks.release(job)
        self._close(job, record)

    def _close(self, job: Cell | Anchors, record: Record) -> None:
        self._failed += record.failure is not None
        self._display.end(job, record)

    def _state_of(self, job: Cell) -> Path:
        """Folder in which a cell's training keeps its state."""
        return self._folder / "trainings" / job.training_key[:32]

    def _trainer(self, job: Cell | Anchors) -> Cell | None:
        """The other cell that trains a cell's agent."""
        if isinstance(job, Anchors) or not job.budget:
            return None
        trainer = self._trainers[job.training_key]
        return None if trainer.key == job.key else trainer

    def _look(self, job: Cell | Anchors) -> Record | None:
        """Return a job's record; one that cannot be used is set aside, and said."""
        try:
            return read_record(self._folder, job)
        except RecordError as error:
            place = set_aside(self._folder, job)
            self._display.message(f"{error}; set aside as {place}, and done again")
            return None

    def _peek(self, job: Cell | Anchors) -> Record | None:
        """Return a job's record if it can be used: the rest is seen to once the job is claimed."""
        try:
            return read_record(self._folder, job)
        except RecordError:
            return None

    def _lost_agents(self) -> dict[str, Cell | Anchors]:
        """Return the trainings whose agents are needed and are not there as they were kept."""
        lost: dict[str, Cell | Anchors] = {}
        needed = {t.key: t for job in self._open.values() if (t := self._trainer(job))}
        for trainer in needed.values():
            record = self._peek(trainer)
            kept = record.result.checkpoint if record and record.result else None
            if kept is not None and not kept_agents.is_intact(self._folder, kept):
                lost[trainer.key] = trainer
        return lost


def _turn(job: Cell | Anchors) -> int:
    """The long ones first, so that no core idles while another has a training left to do."""
    if isinstance(job, Anchors):
        return 0
    return 1 if job.budget else 2
