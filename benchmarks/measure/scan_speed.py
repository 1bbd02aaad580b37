"""How fast a large run is read and tabulated: a folder of many finished cells, and its parts timed.

    python -m edge_marl.benchmarks.measure.scan_speed --cells 10000

A few agents are run for real, one cell each on `paper` and its 100 test workloads. The other cells
are these again: as the agents of other names, in other worlds and with other seeds, written as a
run writes them, each with its own key and checksum, and its utilities shifted so that no two agree.
Then what `edge-marl plan` and `edge-marl report` do on such a folder is done and timed in parts.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.benchmarks.plan.cells import Anchors, Arena, Cell, Plan
from edge_marl.benchmarks.plan.make_plan import make_plan
from edge_marl.benchmarks.records.records import (
    Record,
    read_plan,
    read_record,
    write_plan,
    write_record,
)
from edge_marl.benchmarks.report import report
from edge_marl.benchmarks.report.comparisons import Report
from edge_marl.benchmarks.report.tables import build_tables
from edge_marl.benchmarks.run import status
from edge_marl.benchmarks.run.executors import Processes
from edge_marl.benchmarks.run.progress import Lines
from edge_marl.benchmarks.run.runner import run_plan
from edge_marl.benchmarks.suites import Suite
from edge_marl.console import print_rows, problems, results, run_command
from edge_marl.errors import SuiteError
from edge_marl.scenario import load_scenario

__all__ = ["SAMPLE", "Part", "make_run", "measure"]

SAMPLE = Suite(
    name="sample",
    scenarios=("paper",),
    agents=("random", "capacity-random", "power-of-two", "sac"),
    seeds=1,
    episodes=100,
    budget=4_800,
)
"""What is run for real: agents that depend on a seed, one of which learns and so has a curve."""

WORLDS, NAMES = 10, 20

NAME = "agent-"

SHIFT = 1e-3
"""Utility by which the episodes of one cell differ from those of the next."""


@dataclass(frozen=True)
class Part:
    """What one part took, in seconds."""

    name: str
    wall_s: float
    cpu_s: float


def make_run(
    folder: Path, cells: int, suite: Suite = SAMPLE, worlds: int = WORLDS, names: int = NAMES
) -> Plan:
    """Write a run of at least `cells` finished cells to a folder, and return its plan.

    Args:
        folder: where it is written.
        cells: how many, at least.
        suite: what is run for real, in one scenario.
        worlds: worlds of it that the cells are shared out among.
        names: agents that they are shared out among; as many seeds as it takes.

    Raises:
        SuiteError: if a cell of the sample fails.
    """
    sample = make_plan(suite)
    with tempfile.TemporaryDirectory() as place:
        with Lines(problems(), quiet=True) as display:
            if run_plan(sample, Path(place), Processes(1), display):
                raise SuiteError("a cell of the sample has failed, as said above")
        found = [read_record(Path(place), job) for job in sample.jobs()]
    done = {_agent(record.job): record for record in found if record is not None}
    original = {f"{NAME}{i}": sample.agents[i % len(sample.agents)] for i in range(names)}
    plan = sample.model_copy(
        update={
            "arenas": tuple(
                Arena(scenario=load_scenario(suite.scenarios[0], w)) for w in range(worlds)
            ),
            "agents": tuple(e.model_copy(update={"agent": name}) for name, e in original.items()),
            "seeds": -(-cells // (worlds * names)),
        }
    )
    write_plan(folder, plan)
    for number, job in enumerate(plan.jobs()):
        agent = _agent(job)
        record = done[original[agent].name if agent in original else agent]
        write_record(folder, _copy(record, job, number))
    return plan


def _agent(job: Cell | Anchors) -> str:
    return job.agent if isinstance(job, Cell) else "anchors"


def _copy(record: Record, job: Cell | Anchors, number: int) -> Record:
    """Return a record as another job's, its utilities shifted so that no two records agree."""
    result = record.result
    if result is not None:
        facts = result.model_dump()
        for episode in facts["episodes"]:
            episode["metrics"]["utility"] += SHIFT * number
        result = type(result).model_validate(facts)
    return record.model_copy(update={"job": job, "result": result})


def measure(folder: Path) -> Iterator[Part]:
    """Time what `edge-marl plan` and `edge-marl report` do on a folder; yield part by part."""
    plan, part = _timed("read the plan", lambda: read_plan(folder))
    yield part
    yield _timed("plan: scan and count", lambda: status.rows_of(plan, folder, 1))[1]
    tables, part = _timed("report: scan and tabulate", lambda: build_tables(folder))
    yield part
    made = Report(tables)
    for name in report.DEFAULT_FORMATS[::-1]:  # the page last: it has what the others have, drawn
        write = report.WRITERS[name][1]
        yield _timed(f"report: write {name}", partial(write, made))[1]


def _timed(name: str, do: Callable[[], Any]) -> tuple[Any, Part]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = do()
    return done, Part(name, time.perf_counter() - wall, time.process_time() - cpu)


def command(
    cells: Annotated[int, typer.Option(min=1, help="Finished cells.")] = 10_000,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to make the run in, or one made before.")
    ] = None,
) -> None:
    """Time how a large run is read and tabulated."""
    with tempfile.TemporaryDirectory() as place:
        folder = keep or Path(place)
        if not (folder / "run.json").exists():
            make_run(folder, cells)
        records = list((folder / "cells").iterdir())
        size = sum(path.stat().st_size for path in records)
        results().print(f"{len(records):,} records, {size / 1e6:,.0f} MB")
        parts = list(measure(folder))
    rows = [("", "wall clock", "CPU")]
    rows += [(part.name, f"{part.wall_s:.2f} s", f"{part.cpu_s:.2f} s") for part in parts]
    print_rows(rows)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    results().print(f"largest size of the process: {peak:.2f} GB")


if __name__ == "__main__":
    run_command(command)
