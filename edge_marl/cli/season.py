"""The command `edge-marl season`: workloads from a secret that is published at its end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_marl.cli.submit import SUBMISSIONS

if TYPE_CHECKING:
    from edge_marl.leaderboards.verification.season import Season

__all__ = ["app"]

app = typer.Typer(
    help="Workloads from a secret that is published at a season's end.", no_args_is_help=True
)


SeasonFile = Annotated[Path, typer.Argument(help="Public file of the season, NAME.json.")]
SecretFile = Annotated[Path, typer.Option(help="Where its secret is kept; never publish it.")]


@app.command()
def commit(path: SeasonFile, secret_file: SecretFile) -> None:
    """Draw a season's secret, and write the digest that is published now.

    Example: edge-marl season commit spring.json --secret-file spring.secret
    """
    from edge_marl.leaderboards.verification import season as seasons

    _say(path, seasons.commit(path, secret_file))


@app.command()
def reveal(
    path: SeasonFile,
    secret_file: SecretFile,
    submissions: Annotated[Path, typer.Option(help="Folder of all submissions.")] = SUBMISSIONS,
) -> None:
    """Write the secret to the season's file, and which submissions were there in time.

    Example: edge-marl season reveal spring.json --secret-file spring.secret
    """
    from edge_marl.leaderboards.verification import season as seasons

    _say(path, seasons.reveal(path, secret_file, submissions))


def _say(path: Path, season: Season) -> None:
    state = f"revealed, {len(season.entrants)} entrants" if season.secret else "committed"
    typer.echo(f"{path}: season {season.name}, SHA-256 {season.commitment[:12]}, {state}")
