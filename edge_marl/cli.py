"""The command `edge-marl`: the one place that knows all parts, each loaded when it is used."""

from __future__ import annotations

from typing import Annotated

import typer

from edge_marl import cli_scenarios
from edge_marl.benchmarks.console import EXIT_CODES, print_rows, run_app
from edge_marl.benchmarks.report import report
from edge_marl.benchmarks.reproduce import reproduce
from edge_marl.benchmarks.run_benchmark import plan, run, suites
from edge_marl.cli_evaluate import evaluate
from edge_marl.cli_train import train
from edge_marl.data import cli as data
from edge_marl.leaderboards import commands as boards
from edge_marl.leaderboards.build_command import leaderboard

__all__ = ["app", "main"]

app = typer.Typer(
    help=f"A benchmark for orchestrating AI-generated content on edge servers. {EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_scenarios.app, name="scenarios")
app.add_typer(data.app, name="data")
app.add_typer(leaderboard, name="leaderboard")
app.command()(run)
app.command()(report)
app.command()(plan)
app.command()(suites)
app.command()(reproduce)
app.command()(train)
app.command()(evaluate)
app.command()(boards.submit)
app.command()(boards.verify)
app.add_typer(boards.season, name="season")


def main() -> None:
    """Run the command on this process's arguments."""
    run_app(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from edge_marl._version import __version__

        typer.echo(f"edge-marl {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


@app.command()
def agents() -> None:
    """List the registered agents."""
    import inspect

    from edge_marl.agents import Trainer, names
    from edge_marl.agents.registry import find

    rows = []
    for name in names():
        kind = find(name)  # not made: some need a library that may be missing
        summary = (inspect.getdoc(kind) or "").partition("\n")[0]
        rows.append((name, "learns" if issubclass(kind, Trainer) else "heuristic", summary))
    print_rows(rows)
