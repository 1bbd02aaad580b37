"""The command `edge-marl run`: agents on scenarios, and the table.

Light to import: what a run needs is loaded when one starts, so that `--help` is there at once.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edge_marl.console import FAILED, INTERRUPTED, print_rows, problems

if TYPE_CHECKING:
    from edge_marl.benchmarks.plan.cells import Plan
    from edge_marl.benchmarks.run.executors import Executor

__all__ = ["run"]

SUITE = "the suite's"
SuiteName = Annotated[
    str | None,
    typer.Option(
        "--suite",
        help="A suite's name, or a .toml file; the other options replace parts of it.",
        show_default="paper, heuristics with sac and adsac",
    ),
]
Scenarios = Annotated[
    list[str] | None,
    typer.Option(
        help="Tiers or .toml files; repeat it or separate them by commas.", show_default=SUITE
    ),
]
Worlds = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N",
        help="Worlds of the scenarios, likewise; 0 is the published one.",
        show_default=SUITE,
    ),
]
Agents = Annotated[
    list[str] | None,
    typer.Option(
        help="Names, module:Class or file.py:Class, likewise; with settings: 'adsac gamma=0.9'.",
        show_default=SUITE,
    ),
]
Seeds = Annotated[
    int | None, typer.Option(min=1, help="Training runs: seeds 0 to N - 1.", show_default=SUITE)
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="SPLIT",
        help="Workloads to evaluate on: test for results, validation to choose settings, train.",
        show_default=SUITE,
    ),
]
First = Annotated[
    int | None, typer.Option(min=0, help="Number of the first workload.", show_default=SUITE)
]
Episodes = Annotated[
    int | None,
    typer.Option(min=1, max=100, help="Workloads to evaluate on.", show_default=SUITE),
]
Budget = Annotated[
    int | None,
    typer.Option(min=1, help="Decisions that a learning agent trains on.", show_default=SUITE),
]
Apis = Annotated[
    list[str] | None,
    typer.Option(
        metavar="single|parallel",
        help="Evaluate on the Gymnasium environment, or as policy of all gateways; or on both.",
        show_default="parallel for games in slots, else single",
    ),
]
Generalise = Annotated[
    bool | None,
    typer.Option(
        "--generalise/--no-generalise",
        help="Evaluate on the test sets of each tier too what was trained on it.",
        show_default=SUITE,
    ),
]
TrainOn = Annotated[
    str | None,
    typer.Option(help="Scenario that all agents are trained in.", show_default="where evaluated"),
]
Gateways = Annotated[
    str | None,
    typer.Option(
        metavar="N|servers",
        help="With --api parallel: number of gateways, or one at each server.",
        show_default="the scenario's",
    ),
]
Slot = Annotated[
    float | None,
    typer.Option(
        help="With --api parallel: length of a slot in seconds; 0 is the event clock.",
        show_default="the scenario's",
    ),
]
Hold = Annotated[
    bool | None,
    typer.Option(
        "--hold/--no-hold",
        help="With --api parallel: whether a gateway may keep its task for the next slot.",
        show_default="the scenario's",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        min=1, help="Threads of a cell; they change results' last bits.", show_default=SUITE
    ),
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Cells at a time.", show_default="cores / threads")
]
Out = Annotated[
    Path | None, typer.Option(help="Folder of the run.", show_default="results/SUITE or SCENARIO")
]


def run(
    suite: SuiteName = None,
    scenario: Scenarios = None,
    world: Worlds = None,
    agents: Agents = None,
    seeds: Seeds = None,
    split: Split = None,
    first: First = None,
    episodes: Episodes = None,
    budget: Budget = None,
    api: Apis = None,
    generalise: Generalise = None,
    train_on: TrainOn = None,
    gateways: Gateways = None,
    slot_s: Slot = None,
    hold: Hold = None,
    threads: Threads = None,
    out: Out = None,
    jobs: Jobs = None,
    executor: Annotated[
        Literal["processes", "ray"],
        typer.Option(help="Processes of this machine, or of a Ray cluster's nodes."),
    ] = "processes",
    address: Annotated[
        str | None,
        typer.Option(help="With --executor ray: the cluster's.", show_default="a local one"),
    ] = None,
    gpus_per_cell: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="With --executor ray: GPUs that a cell reserves, for agents of your own that use "
            "them; those shipped here compute on the CPU.",
        ),
    ] = 0.0,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Show the cells, what is done and how long the rest will take."
        ),
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do cells again that have failed.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say only what went wrong.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per event, and no table.")
    ] = False,
) -> None:
    """Run agents on scenarios and make the table.

    Cells that the folder already has are not run again, so the same command goes on with a run
    that was stopped. Several of them may work on one folder, also from several machines.

    `edge-marl plan` is short for `edge-marl run --dry-run`: the time is estimated from cells that
    are done, of the same agent, if possible in the same place. Agents that need a library that is
    not installed are told apart, and not planned.

    Example: edge-marl run --scenario smoke --agents random,prophet --seeds 3
    """
    from edge_marl.benchmarks.plan.make_plan import installed, make_plan
    from edge_marl.benchmarks.suites import DEFAULT, load_suite
    from edge_marl.errors import ScenarioError

    axes = {
        "scenarios": _split(scenario),
        "worlds": _split(world),
        "agents": _split(agents),
        "seeds": seeds,
        "split": split,
        "first": first,
        "episodes": episodes,
        "budget": budget,
        "apis": _split(api),
        "generalise": generalise,
        "train_on": train_on,
        "gateways": _count(gateways),
        "slot_s": slot_s,
        "hold": hold,
        "threads": threads,
    }
    if axes["scenarios"] == ():
        raise ScenarioError("no scenario is named: give at least one tier or .toml file")
    asked = (load_suite(suite) if suite else DEFAULT).replaced(axes)
    known, needs = installed(asked) if dry_run else (asked, [])
    plan = make_plan(known)
    folder = out or Path("results") / plan.name
    _check_folder(folder)
    if dry_run:
        return _show(plan, folder, _at_a_time(jobs, plan.threads), needs)
    if executor == "processes":  # nodes of a cluster have data of their own
        _check_data(plan)
    does = _executor(executor, jobs, plan.threads, address, gpus_per_cell)
    _run(plan, folder, does, retry_failed=retry_failed, quiet=quiet, as_json=as_json)


def _check_folder(folder: Path) -> None:
    """Raise RecordError if no run can be at a path."""
    from edge_marl.errors import RecordError

    try:
        folder.stat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise RecordError(
            f"{folder}: no run can be there ({error.strerror}): give another folder with --out"
        ) from None


def _show(plan: Plan, folder: Path, jobs: int, needs: list[str]) -> None:
    """Print a plan's cells and what they will take, and what it cannot plan without more."""
    from edge_marl.benchmarks.run.status import rows_of

    print_rows(rows_of(plan, folder, jobs))
    for need in needs:
        problems().print(f"not planned: {need}", markup=False, highlight=False)


def _run(
    plan: Plan, folder: Path, does: Executor, *, retry_failed: bool, quiet: bool, as_json: bool
) -> None:
    """Do a plan's cells and make the report."""
    from edge_marl.benchmarks.report.report import make_report
    from edge_marl.benchmarks.run.progress import make_display
    from edge_marl.benchmarks.run.runner import run_plan

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cluster's way to say Ctrl-C
    try:
        with make_display(problems(), quiet=quiet, events=as_json) as display:
            failed = run_plan(plan, folder, does, display, retry_failed=retry_failed)
    except KeyboardInterrupt:
        problems().print("interrupted: what was finished is kept; the same command goes on")
        raise typer.Exit(INTERRUPTED) from None
    make_report(folder, show=not quiet and not as_json)
    if failed:
        raise typer.Exit(FAILED)


def _check_data(plan: Plan) -> None:
    """Look for the recordings that a plan's scenarios replay: better once than in every cell.

    Raises:
        DataError: if one is not there, or damaged; says which, and whose.
    """
    from edge_marl.data.recordings import source_of
    from edge_marl.errors import DataError

    scenarios = {arena.scenario.label: arena.scenario for arena in plan.arenas}
    wrong: dict[str, list[str]] = {}
    for label, scenario in scenarios.items():
        if scenario.replay is None:
            continue
        try:
            if not (path := source_of(scenario.replay)).is_file():
                raise DataError(f"{path}: there is no such file: check replay.csv")
        except DataError as error:
            wrong.setdefault(str(error), []).append(label)
    if wrong:
        told = "; ".join(f"{', '.join(labels)}: {text}" for text, labels in wrong.items())
        raise DataError(f"{told}; or leave these scenarios out (--scenario)")


def _executor(
    name: str, jobs: int | None, threads: int, address: str | None, gpus: float
) -> Executor:
    """Return the executor that is asked for.

    Raises:
        SuiteError: options of the other executor; ray is not installed, there is no cluster, or it
            is too small.
    """
    from edge_marl.benchmarks.run.executors import Processes
    from edge_marl.errors import SuiteError

    if gpus > 1 and gpus != int(gpus):
        raise SuiteError(f"--gpus-per-cell {gpus:g}: must be a whole number, or a share below 1")
    if name == "ray":
        from edge_marl.benchmarks.run.ray_executor import RayExecutor

        return RayExecutor(address, threads=threads, gpus=gpus, most=jobs)
    if address is not None or gpus:
        raise SuiteError("--address and --gpus-per-cell are for clusters: add --executor ray")
    return Processes(_at_a_time(jobs, threads))


def _at_a_time(jobs: int | None, threads: int) -> int:
    """Return how many cells run at a time on this machine: as asked for, or as cores allow."""
    from edge_marl.benchmarks.records.provenance import usable_cores

    return jobs or max(1, usable_cores() // threads)


def _split(texts: list[str] | None) -> tuple[str, ...] | None:
    """Split at commas, but not at those within brackets (`hidden=[64,64]`) or a file's path."""
    if texts is None:
        return None
    found: list[str] = []
    for text in texts:
        parts = re.split(r",(?![^\[]*\])", text)
        while parts:
            ends = range(1, len(parts) + 1)
            end = next((end for end in ends if _is_file(",".join(parts[:end]))), 1)
            found.append(",".join(parts[:end]).strip())
            del parts[:end]
    return tuple(part for part in found if part)


def _is_file(text: str) -> bool:
    """Whether a text names a file that is there, of an agent or a scenario."""
    named = re.match(r"(.*\.py):\w|(.*\.toml)$", text.strip())
    return named is not None and os.path.isfile(named[1] or named[2])


def _count(gateways: str | None) -> int | Literal["servers"] | None:
    """Read a number of gateways.

    Raises:
        ScenarioError: if it is neither a whole number nor 'servers'.
    """
    from edge_marl.errors import ScenarioError

    if gateways is None:
        return None
    if gateways == "servers":
        return "servers"
    try:
        return int(gateways)
    except ValueError:
        raise ScenarioError(
            f"gateways = {gateways!r}: must be a whole number of at least 1, or 'servers'"
        ) from None
