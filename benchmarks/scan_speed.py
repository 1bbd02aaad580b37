"""How fast a large run is read and tabulated: a folder of many finished cells, and its parts timed.

    python -m edge_marl.benchmarks.scan_speed --cells 10000

Agents are run for real on `paper` and its 100 test workloads, one cell each. The other cells are
these again, in other worlds and with other seeds, written as a run writes them: each with its own
key and checksum, its episodes shifted a little so that no two agree. Then what `edge-marl plan` and
`edge-marl report` do on such a folder is done and timed, part by part.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from edge_marl.benchmarks.cells import Anchors, Arena, Cell, Plan
from edge_marl.benchmarks.console import print_rows, results, run_app
from edge_marl.benchmarks.records import Record, read_record, write_plan, write_record
from edge_marl.errors import SuiteError

__all__ = ["Part", "make_run", "measure"]

AGENTS = "random,capacity-random,power-of-two,sac"
"""What is run for real: agents that depend on a seed, one of which learns and has a curve."""

BUDGET = 4_800
WORLDS = 10
"""Of `paper`; the cells are shared out among them."""

SHIFT = 1e-3
"""Utility by which the episodes of one copy differ from those of the next."""


@dataclass(frozen=True)
class Part:
    """What one part took, in seconds."""

    name: str
    wall_s: float
    cpu_s: float


def make_run(folder: Path, cells: int, agents: str = AGENTS, episodes: int = 100) -> Plan:
    """Write a run of at least `cells` finished cells to a folder, and return its plan.

    Raises:
        SuiteError: if an agent has failed, or depends on no seed and so has one cell only.
    """
    from edge_marl.benchmarks.executors import Processes
    from edge_marl.benchmarks.progress import Lines
    from edge_marl.benchmarks.run_benchmark import make_plan
    from edge_marl.benchmarks.runner import run_plan
    from edge_marl.benchmarks.suites import DEFAULT
    from edge_marl.scenario import load_scenario

    names = tuple(agents.split(","))
    axes = {"scenarios": ("paper",), "agents": names, "seeds": 1}
    sample = make_plan(DEFAULT.replaced(axes | {"episodes": episodes, "budget": BUDGET}))
    for agent in sample.agents:
        if agent.deterministic:
            raise SuiteError(f"agent '{agent.name}' depends on no seed: it has one cell only")
    with tempfile.TemporaryDirectory() as place, Lines(results(), quiet=True) as display:
        if run_plan(sample, Path(place), Processes(1), display):
            raise SuiteError("a sample cell has failed: see above")
        found = [read_record(Path(place), job) for job in sample.jobs()]
    done = {_name(record.job): record for record in found if record is not None}
    worlds = [load_scenario("paper", world) for world in range(WORLDS)]
    plan = sample.model_copy(
        update={
            "arenas": tuple(Arena(scenario=world) for world in worlds),
            "seeds": -(-cells // (WORLDS * len(names))),
        }
    )
    write_plan(folder, plan)
    for number, job in enumerate(plan.jobs()):
        write_record(folder, _copy(done[_name(job)], job, number))
    return plan


def _name(job: Cell | Anchors) -> str:
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
    from edge_marl.benchmarks import report, status
    from edge_marl.benchmarks.records import read_plan
    from edge_marl.benchmarks.tables import build_tables

    plan, part = _timed("read the plan", lambda: read_plan(folder))
    yield part
    yield _timed("plan: scan and count", lambda: status.rows_of(plan, folder, 1))[1]
    tables, part = _timed("report: scan and tabulate", lambda: build_tables(folder))
    yield part
    made = report.Report(tables)
    for name in report.DEFAULT_FORMATS[::-1]:  # the page last: it has what the others have, drawn
        yield _timed(f"report: write {name}", lambda name=name: report.WRITERS[name][1](made))[1]


def _timed(name: str, do: Callable[[], Any]) -> tuple[Any, Part]:
    wall, cpu = time.perf_counter(), time.process_time()
    done = do()
    return done, Part(name, time.perf_counter() - wall, time.process_time() - cpu)


def command(
    cells: Annotated[int, typer.Option(min=1, help="Finished cells.")] = 10_000,
    agents: Annotated[str, typer.Option(help="Agents that depend on a seed.")] = AGENTS,
    keep: Annotated[
        Path | None, typer.Option(help="Folder to make the run in, or one made before.")
    ] = None,
) -> None:
    """Time how a large run is read and tabulated."""
    with tempfile.TemporaryDirectory() as place:
        folder = keep or Path(place)
        if not (folder / "run.json").exists():
            make_run(folder, cells, agents)
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
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)
