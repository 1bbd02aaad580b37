"""How far a run is, and how long the rest will take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from edge_marl.benchmarks.plan.cells import Anchors, Cell, Plan
from edge_marl.benchmarks.records.records import read_record
from edge_marl.benchmarks.run.locks import locked_jobs
from edge_marl.errors import RecordError

__all__ = ["rows_of"]

Row = tuple[str, ...]
HEAD = ("", "jobs", "done", "failed", "running", "open", "time of one")


def rows_of(plan: Plan, folder: Path, workers: int) -> list[Row]:
    """Return a table of a plan's jobs by arena and agent, and an estimate as its last row."""
    jobs = plan.jobs()
    done = {job.key: _found(folder, job) for job in jobs}
    running = {job.key for job in locked_jobs(folder, jobs)}
    groups: dict[str, list[Cell | Anchors]] = {}
    for job in jobs:
        groups.setdefault(job.label.partition(" / seed ")[0], []).append(job)
    times = _Times(jobs, done)
    rows: list[Row] = [HEAD]
    for label, group in groups.items():
        kinds = [_kind(done[job.key], job.key in running) for job in group]
        counts = (str(kinds.count(k)) for k in ("done", "failed", "running", "open"))
        rows.append((label, str(len(group)), *counts, _duration(times.of(group[0]))))
    left = [times.of(job) for job in jobs if done[job.key] is None]
    known = [seconds for seconds in left if seconds is not None]
    told = f"about {_duration(max(sum(known) / workers, max(known, default=0.0)))}"
    if len(known) < len(left):
        told += f", and {len(left) - len(known)} jobs of agents that none has been measured of"
    rows.append(("time left", f"{told}, {workers} at a time" if left else "none: all is done"))
    return rows


@dataclass(frozen=True)
class _Done:
    """What is kept of a record: thousands of whole ones do not fit into memory."""

    failed: bool
    wall_s: float


def _found(folder: Path, job: Cell | Anchors) -> _Done | None:
    try:
        record = read_record(folder, job)
    except RecordError:  # the run will set it aside and do it again
        return None
    if record is None:
        return None
    return _Done(record.failure is not None, record.provenance.wall_s)


def _kind(done: _Done | None, running: bool) -> str:
    if done is not None:
        return "failed" if done.failed else "done"
    return "running" if running else "open"


class _Times:
    """Seconds that a job takes, from those that are done."""

    def __init__(self, jobs: list[Cell | Anchors], done: dict[str, _Done | None]) -> None:
        self._exact: dict[tuple[str, ...], list[float]] = {}
        self._near: dict[str, list[float]] = {}
        for job in jobs:
            if (found := done[job.key]) and not found.failed:
                self._exact.setdefault(_group(job), []).append(found.wall_s)
                self._near.setdefault(_group(job)[-1], []).append(found.wall_s)

    def of(self, job: Cell | Anchors) -> float | None:
        """Return the mean of the same agent in the same place, or else anywhere."""
        found = self._exact.get(_group(job)) or self._near.get(_group(job)[-1])
        return mean(found) if found else None


def _group(job: Cell | Anchors) -> tuple[str, ...]:
    if isinstance(job, Anchors):
        return (job.scenario.digest, "anchors")
    return (job.scenario.digest, job.api, job.name)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
