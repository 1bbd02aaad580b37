"""What a run costs beside training and evaluation, from its records and the runner's own clock.

    python -m edge_marl.benchmarks.measure.overhead --suite paper --budget 4800 --trained DIR

Does the suite for a short budget, one cell at a time, in a folder that it throws away, and takes
its wall clock apart:

* training and evaluation: `train_s` and `evaluate_s` of the records. An agent's libraries (torch,
  Tianshou) are loaded when it trains, and count there, as in any script that trains it;
* cells: the rest of `wall_s` of all jobs, the anchors' with the cells': loading the environment,
  the digest of the sources, timing single decisions, packing trained agents;
* runner: starting processes, keeping agents and records, waiting;
* reports: tables, figures and page, once per run.

All but the first two is the harness. It takes as long for a long training as for a short one, so
what matters is its share at the suite's own seeds and budget: for that, times of trainings come
from the records of a run that was trained for longer (`--trained`), in proportion to the budget.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Annotated

import typer

from edge_marl.benchmarks.plan.cells import Cell, Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import Record, read_plan, read_record
from edge_marl.benchmarks.report.report import make_report
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.benchmarks.suites import load_suite
from edge_marl.console import print_rows, problems, run_command
from edge_marl.errors import SuiteError

__all__ = ["PARTS", "Shares", "shares_at", "shares_of"]

PARTS = {
    "train_s": "training",
    "evaluate_s": "evaluation",
    "cells_s": "harness: cells",
    "runner_s": "harness: runner",
    "reports_s": "harness: reports",
}


@dataclass(frozen=True)
class Shares:
    """What the wall clock of a run was spent on, in seconds."""

    train_s: float
    evaluate_s: float
    cells_s: float
    runner_s: float
    reports_s: float

    @property
    def total_s(self) -> float:
        """Of all of it."""
        return sum(float(getattr(self, part)) for part in PARTS)

    @property
    def harness(self) -> float:
        """Share of what is neither training nor evaluation."""
        return 1.0 - (self.train_s + self.evaluate_s) / self.total_s


def shares_of(records: list[Record], run_s: float, reports_s: float) -> Shares:
    """Return what a run's wall clock was spent on.

    Args:
        records: of all its jobs, done one at a time.
        run_s: from its start to the end of its last job, in seconds.
        reports_s: what the reports took after that, in seconds.
    """
    results = [record.result for record in records if record.result]
    train, evaluate = sum(r.train_s for r in results), sum(r.evaluate_s for r in results)
    processes = sum(record.provenance.wall_s for record in records)
    return Shares(train, evaluate, processes - train - evaluate, run_s - processes, reports_s)


def shares_at(plan: Plan, measured: Shares, records: list[Record], trained: list[Record]) -> Shares:
    """Return what the shares come to in a plan of more cells and longer trainings.

    Training takes what `trained` say, in proportion to the budget, evaluation what `records` say:
    of the same agent, or else the mean over those that learn, or do not, like it. The harness takes
    as long per job as was measured, the reports as long per run.

    Raises:
        SuiteError: if no agent was measured that learns, or does not, like one of the plan's.
    """
    jobs = plan.jobs()
    cells = [job for job in jobs if isinstance(job, Cell)]
    learners = [cell for cell in cells if cell.budget]
    more = len(jobs) / len(records)
    return Shares(
        train_s=sum(_mean(cell, trained, _training) * (cell.budget or 0) for cell in learners),
        evaluate_s=sum(_mean(cell, records, _evaluation) for cell in cells),
        cells_s=measured.cells_s * more,
        runner_s=measured.runner_s * more,
        reports_s=measured.reports_s,
    )


def _mean(cell: Cell, records: list[Record], seconds: Callable[[Record], float]) -> float:
    alike = [r for r in records if isinstance(r.job, Cell) and r.job.agent == cell.agent]
    alike = alike or [
        r for r in records if isinstance(r.job, Cell) and bool(r.job.budget) == bool(cell.budget)
    ]
    if not alike:
        raise SuiteError(f"agent '{cell.agent}': none that is like it was measured")
    return fmean(map(seconds, alike))


def _training(record: Record) -> float:
    """Seconds of training per decision."""
    assert isinstance(record.job, Cell)
    assert record.result is not None
    return record.result.train_s / (record.job.budget or 1)


def _evaluation(record: Record) -> float:
    assert record.result is not None
    return record.result.evaluate_s


def _finished(folder: Path) -> list[Record]:
    """Return the records of a run that are no failures.

    Raises:
        RecordError: if the folder holds no run, or one of them is damaged.
    """
    found = [read_record(folder, job) for job in read_plan(folder).jobs()]
    return [record for record in found if record is not None and record.failure is None]


def command(
    suite: Annotated[str, typer.Option(help="A suite's name, or a .toml file.")] = "paper",
    agents: Annotated[
        str | None, typer.Option(help="Some of its agents.", show_default="all")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Training runs that are measured.")] = 1,
    budget: Annotated[int, typer.Option(min=1, help="Decisions that are trained on.")] = 4_800,
    trained: Annotated[
        Path | None,
        typer.Option(help="A run with longer trainings.", show_default="the one that is measured"),
    ] = None,
) -> None:
    """Measure what a run costs beside training and evaluation."""
    asked = load_suite(suite)
    axes = {"agents": agents and tuple(agents.split(",")), "seeds": seeds, "budget": budget}
    with tempfile.TemporaryDirectory() as place, Lines(problems()) as display:
        folder, start = Path(place), time.perf_counter()
        if run_plan(make_plan(asked.replaced(axes)), folder, Processes(1), display):
            raise SuiteError("a cell has failed, as said above")
        end = time.perf_counter()
        make_report(folder, show=False)
        reports_s = time.perf_counter() - end
        records = _finished(folder)
    measured = shares_of(records, end - start, reports_s)
    longer = _finished(trained) if trained else records
    whole = shares_at(make_plan(asked), measured, records, longer)
    rows: list[tuple[str, ...]] = [
        ("seconds, one cell at a time", f"{budget:,} decisions", f"all of suite {asked.name}")
    ]
    for part, label in PARTS.items():
        rows.append((label, *(_told(getattr(s, part), s) for s in (measured, whole))))
    rows.append(("harness", *(f"{s.harness:.1%}" for s in (measured, whole))))
    print_rows(rows)


def _told(seconds: float, of: Shares) -> str:
    return f"{seconds:,.1f} ({seconds / of.total_s:.1%})"


if __name__ == "__main__":
    run_command(command)
