"""The command `edge-marl bench`: how fast everything is on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.console import names_in, problems, results
from edge_marl.errors import SuiteError

if TYPE_CHECKING:
    from edge_marl.benchmarks.speed.findings import Findings
    from edge_marl.scenario import Scenario

__all__ = ["bench"]

TIERS = "paper,metro"
MOST_ROUNDS = 100


def bench(
    tiers: Annotated[
        str,
        typer.Option(help="Tiers or .toml files, separated by commas; or all, the newest of each."),
    ] = TIERS,
    repeat: Annotated[
        int | None,
        typer.Option(help="Rounds, of which medians are shown.", show_default="5, or 1 if quick"),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A short one, to see that it works.")
    ] = False,
    learners: Annotated[
        bool, typer.Option("--learners", help="Training too: some minutes more.")
    ] = False,
    peers: Annotated[
        bool, typer.Option("--peers", help="Other suites too, installed on first use (2 GB).")
    ] = False,
    peers_env: Annotated[
        Path | None,
        typer.Option(help="Folder of their Python environment.", show_default="in the cache"),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="File for the findings.", show_default="none")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for speed.json, .md, .png and .svg.", show_default="none"),
    ] = None,
) -> None:
    """Measure decisions per second of every API, and what one is made of.

    Compare figures of one run: other programs on the machine slow down all of them.

    Example: edge-marl bench --tiers smoke --quick
    """
    from edge_marl.benchmarks.speed.bench import Wishes
    from edge_marl.benchmarks.speed.bench import bench as measure
    from edge_marl.benchmarks.speed.learners import learners as all_learners
    from edge_marl.benchmarks.speed.peers import default_folder

    rounds = (1 if quick else 5) if repeat is None else repeat
    if not 1 <= rounds <= MOST_ROUNDS:
        raise SuiteError(f"--repeat {rounds}: must be from 1 to {MOST_ROUNDS}")
    wishes = Wishes(
        scenarios=_scenarios(tiers),
        repeat=rounds,
        quick=quick,
        learners=all_learners() if learners else (),
        peers=(peers_env or default_folder()) if peers or peers_env else None,
    )
    for place in (json_file.parent if json_file else None, out):
        _check_writable(place)
    with problems().status("") as status:
        found = measure(wishes, status.update)
    _print(found)
    _write(found, json_file, out)


def _scenarios(text: str) -> list[Scenario]:
    """Return the scenarios of a command line.

    Raises:
        ScenarioError: an unknown tier, or a malformed file.
        SuiteError: none is named.
    """
    from edge_marl.scenario import list_tiers, load_scenario

    if text == "all":
        found = [load_scenario(name) for name in list_tiers(newest=True)]
        found = [scenario for scenario in found if scenario.replay is None]  # needs its data set
        return sorted(found, key=lambda scenario: (scenario.extended, scenario.num_servers))
    names = names_in(text)
    if not names:
        raise SuiteError(f"--tiers '{text}': names none; try {TIERS}")
    found = [load_scenario(name) for name in names]
    return list({scenario.digest: scenario for scenario in found}.values())


def _check_writable(folder: Path | None) -> None:
    """Raise SuiteError where nothing can be written, before minutes go by."""
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".edge-marl-bench"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SuiteError(
            f"{folder}: cannot be written to ({error.strerror or error}): choose another folder"
        ) from error


def _print(found: Findings) -> None:
    from edge_marl.benchmarks.speed.tables import COUNTING, machine_line, tables_of
    from edge_marl.console import print_rows

    say = results().print
    for table in tables_of(found):
        say(f"\n{table.title}", style="bold", highlight=False)
        print_rows(table.rows)
    say(f"\n{COUNTING}\n\n{machine_line(found)}", highlight=False, markup=False)


def _write(found: Findings, json_file: Path | None, out: Path | None) -> None:
    from edge_marl.benchmarks.speed.figure import draw
    from edge_marl.benchmarks.speed.findings import write
    from edge_marl.benchmarks.speed.tables import markdown
    from edge_marl.errors import RecordError
    from edge_marl.files import write_file

    if json_file:
        write(found, json_file)
    if out:
        write(found, out / "speed.json")
        write_file(out / "speed.md", markdown(found) + "\n", RecordError)
        draw(found, out)
