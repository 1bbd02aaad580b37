"""What the runs of one agent got in one place, read from a folder's records into arrays.

A record of 100 episodes takes some 230 kB as objects and 20 kB as arrays: a folder of 10,000 of
them fits into memory, and each is let go as soon as it is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np

from edge_marl.benchmarks.plan.cells import AgentEntry, Anchors, Arena, Cell, Plan
from edge_marl.benchmarks.records.records import AnchorValues, CellResult, Load, Record, read_record
from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.errors import RecordError

__all__ = ["OTHER_WORKLOADS", "Curve", "HoleError", "Runs", "read_anchors", "read_runs"]

OTHER_WORKLOADS = (
    "the anchors and the results are of different workloads: move the folder's cells/ away and "
    "start the run again"
)


class HoleError(Exception):
    """A job has no result; says why."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A learning curve; (points,) each."""

    decisions: FloatArray
    utility_per_task: FloatArray
    """On validation workloads; NaN where it is undefined."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Runs of an agent, by seed, on the same workloads."""

    planned: int
    seeds: tuple[int, ...]
    """Of the runs that have a result."""
    holes: tuple[str, ...]
    """Why each other run has none."""
    workloads: tuple[str, ...]
    """SHA-256 (hex) of each workload; empty without a run."""
    metrics: dict[str, FloatArray]
    """Every metric, (runs, workloads); NaN where it is undefined; empty without a run."""
    decision_latency_us: FloatArray
    """(runs,)."""
    curves: tuple[Curve, ...]
    """One per run; of no points for an agent that has none."""
    load: Load
    """Of the first run's first episode."""


def read_runs(folder: Path, plan: Plan, arena: Arena, agent: AgentEntry) -> Runs:
    """Return the runs of an agent in an arena.

    Raises:
        RecordError: if they are of different workloads.
    """
    cells = plan.cells(arena, agent)
    holes: list[str] = []
    found: list[tuple[int, FloatArray, float, Curve]] = []
    first: CellResult | None = None
    workloads: tuple[str, ...] = ()
    for seed, result in _results(folder, cells, holes):
        met = tuple([episode.workload for episode in result.episodes])
        if first is None:
            first, workloads = result, met
        if met != workloads:
            raise RecordError(OTHER_WORKLOADS)
        values = _table(result, tuple(first.episodes[0].metrics))
        found.append((seed, values, result.decision_latency_us, _curve(result)))
    if first is None:
        return Runs(len(cells), (), tuple(holes), (), {}, np.empty(0), (), Load())
    seeds, tables, latencies, curves = zip(*found, strict=True)
    by_metric = np.stack(tables).transpose(2, 0, 1).copy()
    return Runs(
        planned=len(cells),
        seeds=seeds,
        holes=tuple(holes),
        workloads=workloads,
        metrics=dict(zip(first.episodes[0].metrics, by_metric, strict=True)),
        decision_latency_us=np.array(latencies),
        curves=curves,
        load=first.load,
    )


def _results(folder: Path, cells: list[Cell], holes: list[str]) -> Iterator[tuple[int, CellResult]]:
    """Yield the seed and the result of each cell that has one; the others become holes."""
    for cell in cells:
        try:
            record = read_record(folder, cell)
        except RecordError as error:
            holes.append(f"seed {cell.seed} left out: {error}")
            continue
        if record is None:
            holes.append(f"seed {cell.seed} not run yet")
        elif record.result is None:
            holes.append(f"seed {cell.seed} FAILED and is left out: {_reason(record)}")
        else:
            yield cell.seed, record.result


def _table(result: CellResult, names: tuple[str, ...]) -> FloatArray:
    """Return a run's metrics as (workloads, metrics)."""
    rows = map(itemgetter(*names), [episode.metrics for episode in result.episodes])
    flat = np.array(list(chain.from_iterable(rows)), dtype=np.float64)  # None becomes NaN
    return flat.reshape(-1, len(names))


def _curve(result: CellResult) -> Curve:
    return Curve(
        np.array([point.decisions for point in result.curve], dtype=np.float64),
        np.array([point.utility_per_task for point in result.curve], dtype=np.float64),
    )


def read_anchors(folder: Path, job: Anchors) -> tuple[AnchorValues, ...]:
    """Return the anchors of a scenario, by workload.

    Raises:
        HoleError: if there are none.
    """
    try:
        record = read_record(folder, job)
    except RecordError as error:
        raise HoleError(str(error)) from None
    if record is None:
        raise HoleError("not computed yet")
    if record.anchors is None:
        raise HoleError(_reason(record))
    return record.anchors


def _reason(record: Record) -> str:
    return record.failure.reason if record.failure else "the record is empty"
