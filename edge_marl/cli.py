"""The command `edge-marl`: the one place that knows all parts, each loaded when it is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from edge_marl.benchmarks.console import EXIT_CODES, results, run_app
from edge_marl.benchmarks.run_benchmark import run

__all__ = ["app", "main"]

app = typer.Typer(
    help=f"A benchmark for orchestrating AI-generated content on edge servers. {EXIT_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
scenarios = typer.Typer(help="The tiers, and files of one's own.", no_args_is_help=True)
app.add_typer(scenarios, name="scenarios")
app.command()(run)


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
def table(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a run (its --out).")],
) -> None:
    """Make the tables and the figure of a run again, from its records."""
    from edge_marl.benchmarks.run_benchmark import make_tables

    make_tables(run_dir)


@app.command()
def agents() -> None:
    """List the registered agents."""
    import inspect

    from edge_marl.agents import Trainer, make, names
    from edge_marl.scenario import load_scenario

    rows = []
    for name in names():
        made = make(name, load_scenario("smoke"))
        kind = "learns" if isinstance(made, Trainer) else "heuristic"
        summary = (inspect.getdoc(type(made)) or "").partition("\n")[0]
        rows.append((name, kind, summary))
    _print_rows(rows)


@scenarios.command("list")
def list_scenarios() -> None:
    """List the tiers."""
    from edge_marl.scenario import list_tiers, load_scenario

    _print_rows([(name, load_scenario(name).summary) for name in list_tiers()])


@scenarios.command("show")
def show_scenario(
    name: Annotated[str, typer.Argument(help="A tier, or the path of a .toml file.")],
    world: Annotated[int | None, typer.Option(min=0, help="World; 0 is the published one.")] = None,
) -> None:
    """Show a scenario's sizes, load and digest."""
    from edge_marl.scenario import load_scenario
    from edge_marl.topology import offered_load

    found = load_scenario(name, world=world)
    tasks = found.arrivals.rate_per_s * found.arrivals.horizon_s
    end = {"last-task": "terminates at the last task", "horizon": "truncates at the horizon"}
    _print_rows(
        [
            ("scenario", f"{found.label}, version {found.version}"),
            ("summary", found.summary),
            ("servers", f"{found.num_servers}, of {found.num_services} services each"),
            ("actions", f"{found.num_actions}"),
            ("task types", f"{found.num_types}"),
            ("gateways", f"{found.gateways.count}"),
            ("tasks", f"{tasks:,.0f} per episode, in {found.arrivals.horizon_s:,.0f} s"),
            ("episode", end[found.episode.end]),
            ("utilisation", f"{offered_load(found):.2f} of capacity, if no task were lost"),
            ("digest", found.digest),
        ]
    )


def _print_rows(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    shown = Table.grid(padding=(0, 2))
    for row in rows:
        shown.add_row(*(escape(text) for text in row))
    results().print(shown, highlight=False)
