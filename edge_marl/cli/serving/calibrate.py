"""The command `edge-marl calibrate`: how far the simulator is from real servers on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.console import names_in, print_rows, problems, results

if TYPE_CHECKING:
    from edge_marl.benchmarks.calibration.wishes import Wishes

__all__ = ["calibrate"]

OUT = Path("results/calibration")


def calibrate(
    agents: Annotated[
        str | None, typer.Option(help="Names, separated by commas.", show_default="six heuristics")
    ] = None,
    runs: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            help="Sequences of requests that each agent serves; 0: only measure the servers.",
        ),
    ] = 3,
    requests: Annotated[int, typer.Option(min=1, max=100_000, help="Of a run.")] = 200,
    lines: Annotated[
        str, typer.Option(help="Kinds of servers: tasks that may wait; 0: one too many ends it.")
    ] = "0,4",
    load: Annotated[
        float,
        typer.Option(min=0.01, max=10, help="Work that is asked for, of what servers can do."),
    ] = 0.7,
    gateways: Annotated[
        int, typer.Option(min=1, max=16, help="That requests arrive at; each decides alone.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of requests, and of the agents.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of logs and report.")] = OUT,
) -> None:
    """Serve requests on three real servers of this machine, and simulate the same.

    The servers are measured first, and a scenario is fitted to them, which any agent can be trained
    on. The same command goes on where it was stopped.

    Example: edge-marl calibrate --agents random,prophet --runs 1 --requests 50
    """
    from edge_marl.benchmarks.calibration import findings, page, tables
    from edge_marl.errors import ServingError
    from edge_marl.files import write_file
    from edge_marl.serving import check_installed

    check_installed()
    wishes = _wishes(agents, runs, requests, lines, load, gateways, seed)
    with problems().status("") as status:
        found, pairs = findings.calibrate(wishes, out, status.update)
    say = results().print
    for table in tables.tables_of(found):
        say(f"\n{table.title}", style="bold", highlight=False, markup=False)
        print_rows(table.rows)
    for line in ("", *tables.notes_of(found)):
        say(line, highlight=False, markup=False, soft_wrap=True)
    write_file(out / "calibration.html", page.to_html(found, pairs), ServingError)
    files = ", ".join(f"line-{line}.toml and serve-{line}.toml" for line in wishes.lines)
    say(f"\n{out}: calibration.html and .json; to train on and to serve: {files}", highlight=False)


def _wishes(
    agents: str | None,
    runs: int,
    requests: int,
    lines: str,
    load: float,
    gateways: int,
    seed: int,
) -> Wishes:
    """Return what is asked for.

    Raises:
        ServingError: a line is no number, or out of range, or no agent is named.
    """
    from edge_marl.benchmarks.calibration.fit import MOST_WAITING
    from edge_marl.benchmarks.calibration.wishes import AGENTS, Wishes
    from edge_marl.errors import ServingError

    texts = names_in(lines)
    if not texts or not all(t.isdecimal() and int(t) <= MOST_WAITING for t in texts):
        raise ServingError(f"--lines {lines}: must be numbers from 0 to {MOST_WAITING}, like 0,4")
    names = AGENTS if agents is None else tuple(dict.fromkeys(names_in(agents)))
    if not names:
        raise ServingError(f"--agents '{agents}': names none; leave it out for six heuristics")
    return Wishes(
        agents=names,
        runs=runs,
        requests=requests,
        lines=tuple(dict.fromkeys(map(int, texts))),
        load=load,
        gateways=gateways,
        seed=seed,
    )
