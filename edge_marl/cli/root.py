"""The command `edge-marl`: the one place that knows all parts, each loaded when it is used."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edge_marl.cli import leaderboard, scenarios, season
from edge_marl.cli.data import recordings
from edge_marl.cli.data.dataset import dataset
from edge_marl.cli.evaluate import evaluate
from edge_marl.cli.lists import agents, suites
from edge_marl.cli.machine.bench import bench
from edge_marl.cli.machine.doctor import doctor
from edge_marl.cli.report import report
from edge_marl.cli.reproduce import reproduce
from edge_marl.cli.robustness import robustness
from edge_marl.cli.run import run
from edge_marl.cli.seeing.play import play
from edge_marl.cli.seeing.replay import replay
from edge_marl.cli.seeing.watch import watch
from edge_marl.cli.serving.backend import backend
from edge_marl.cli.serving.calibrate import calibrate
from edge_marl.cli.serving.send import send
from edge_marl.cli.serving.serve import serve
from edge_marl.cli.submit import submit
from edge_marl.cli.train import train
from edge_marl.cli.verify import verify
from edge_marl.console import EXIT_CODES, run_app

__all__ = ["app", "main"]

ALIASES = {"plan": ["run", "--dry-run"]}
"""Commands that are another one's with an option."""


class _Commands(TyperGroup):
    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Put what an alias stands for in its place."""
        return super().resolve_command(ctx, ALIASES.get(args[0], args[:1]) + args[1:])


app = typer.Typer(
    cls=_Commands,
    help=(
        "A benchmark for orchestrating AI-generated content on edge servers.\n\n"
        "`edge-marl plan` is short for `edge-marl run --dry-run`.\n\n"
        "Example: edge-marl run --scenario smoke --agents random,prophet --seeds 3"
    ),
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for function in (
    *(run, report, reproduce, suites, train, evaluate, dataset, robustness),
    *(watch, replay, play, submit, verify, serve, send, backend, calibrate, bench, doctor),
):
    app.command()(function)
for group, name in (
    (scenarios.app, "scenarios"),
    (agents, "agents"),
    (recordings.app, "data"),
    (season.app, "season"),
    (leaderboard.app, "leaderboard"),
):
    app.add_typer(group, name=name)


def _tell(group: typer.Typer) -> None:
    """Have the help of every command be its docstring, broken where the terminal ends."""
    for command in group.registered_commands:
        paragraphs = (inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(text.split()) for text in paragraphs)
        command.epilog = EXIT_CODES
    for below in group.registered_groups:
        if below.typer_instance is not None:
            _tell(below.typer_instance)


_tell(app)


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
