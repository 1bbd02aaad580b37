"""The command `edge-marl leaderboard build`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edge_marl.cli.submit import SUBMISSIONS

__all__ = ["app"]

app = typer.Typer(help="Tables and pages of the leaderboards.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Tables and pages of the leaderboards."""


@app.command()
def build(
    submissions: Annotated[
        Path, typer.Option(help="Folder with <board>/<date>-<agent>/ for each submission.")
    ] = SUBMISSIONS,
    out: Annotated[
        Path, typer.Option(help="Where to write README.md, the tables and the folder site/.")
    ] = SUBMISSIONS.parent,
) -> None:
    """Make every table and the static site from the submissions, and from nothing else.

    Example: edge-marl leaderboard build --out build/boards
    """
    from edge_marl.console import problems, results
    from edge_marl.leaderboards.boards.build import build as make

    with problems().status("reading the submissions") as status:
        boards = make(
            submissions, out, lambda done: status.update(f"{done} submissions have their page")
        )
    count = sum(len(board.entries) for board in boards)
    filled = sum(bool(board.rows) for board in boards)
    noun = "submission" if count == 1 else "submissions"
    results().print(
        f"{count} {noun} on {filled} of {len(boards)} boards: {out / 'README.md'}, "
        f"{out / 'site' / 'index.html'}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
