"""The static site: pages from templates, with nothing to fetch, so that they work from a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from edge_marl.benchmarks.plan.budgets import BUDGETS
from edge_marl.benchmarks.report.columns import duration
from edge_marl.benchmarks.report.stats import MIN_RUNS
from edge_marl.benchmarks.report.tables import FEW_RUNS
from edge_marl.kernel import world as k
from edge_marl.leaderboards.boards import figures, scatter
from edge_marl.leaderboards.boards.board import Board, BoardRow, rank_columns, six_digits
from edge_marl.leaderboards.boards.comparison import compared
from edge_marl.leaderboards.boards.game_table import GAME_NOTE, game_rows, game_told
from edge_marl.leaderboards.boards.player_episodes import episodes_of
from edge_marl.leaderboards.boards.separation import separation_note
from edge_marl.leaderboards.boards.tables import (
    BASIS_NOTE,
    BUDGET_NOTE,
    CLASS_NAMES,
    CLASS_NOTES,
    LEVEL_NOTES,
    RANK_NOTE,
    SCORE_NOTE,
    price_note,
)
from edge_marl.leaderboards.submission.schema import LEVELS
from edge_marl.metrics import METRICS

__all__ = ["make_site"]

PACKAGE = "edge_marl.leaderboards.boards"
ASSETS = ("site.css", "theme.js", "tables.js", "compare.js", "player.js")
COMPARE = "compare.html"
"""Beside the pages of a board's submissions, none of which has this name."""
COORDINATION = {
    name: METRICS[name].description for name in ("load_imbalance", "idle_share", "gateway_fairness")
}
"""Means of a game's log that an entry's page shows besides the board's columns."""
FATES = {
    k.ADMITTED: "served",
    k.CRASHED: "lost in a crash",
    k.REFUSED: "crashed its server",
    k.DROPPED: "dropped: no legal action",
    k.DENIED: "lost: server was down",
    k.FAILED: "failed by itself",
    k.OUTAGE: "lost in an outage",
}


def make_site(
    boards: list[Board], progress: Callable[[int], None] = lambda done: None
) -> Iterator[tuple[str, bytes]]:
    """Yield the path and the content of every file of the site.

    Args:
        boards: what to show.
        progress: called with the number of submissions whose pages are made.

    Raises:
        SubmissionError: if a logged episode cannot be played (`player_episodes.episodes_of`).
    """
    environment = _environment()
    for name in ASSETS:
        yield f"assets/{name}", resources.files(PACKAGE).joinpath("assets", name).read_bytes()
    index = environment.get_template("index.html.j2")
    yield "index.html", index.render(boards=boards, board=None, root="").encode()
    one_board = environment.get_template("board.html.j2")
    two_entries = environment.get_template("compare.html.j2")
    submission = environment.get_template("submission.html.j2")
    done = 0
    for board in boards:
        facts = {"boards": boards, "board": board}
        scale = figures.score_scale(board) if board.rows else None
        yield f"{board.name}.html", one_board.render(facts, root="", scale=scale).encode()
        if len(board.rows) > 1:
            page = two_entries.render(facts, root="../", compared=compared(board))
            yield f"{board.name}/{COMPARE}", page.encode()
        for row, newest in board.entries:
            page = submission.render(
                facts,
                root="../",
                row=row,
                newest=newest,
                episodes=episodes_of(board, row),
                workloads=_workload_rows(board, row),
            )
            yield f"{row.entry.name}.html", page.encode()
            done += 1
            progress(done)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(PACKAGE),
        autoescape=True,  # every text of a submission is somebody else's
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["embedded"] = _embedded
    environment.filters["web"] = _web
    environment.filters["duration"] = duration
    environment.globals.update(
        figures=figures,
        scatter=scatter,
        BUDGETS=BUDGETS,
        COORDINATION=COORDINATION,
        LEVELS=LEVELS,
        LEVEL_NOTES=LEVEL_NOTES,
        SCORE_NOTE=SCORE_NOTE,
        RANK_NOTE=RANK_NOTE,
        BUDGET_NOTE=BUDGET_NOTE,
        BASIS_NOTE=BASIS_NOTE,
        CLASS_NAMES=CLASS_NAMES,
        CLASS_NOTES=CLASS_NOTES,
        FEW_RUNS=FEW_RUNS,
        MIN_RUNS=MIN_RUNS,
        GAME_NOTE=GAME_NOTE,
        game_rows=game_rows,
        game_told=game_told,
        price_note=price_note,
        separation_note=separation_note,
        rank_columns=rank_columns,
        FATES=FATES,
    )
    return environment


def _embedded(value: Any) -> Markup:
    """JSON for a script element: without what could end the element or open a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _web(url: str) -> str | None:
    """Return a link if it leads to the web; the schema asks for it, and a page depends on it."""
    return url if url.startswith(("https://", "http://")) else None


def _workload_rows(board: Board, row: BoardRow) -> list[list[tuple[float | None, str]]]:
    """Cells (value to sort by, text) of the columns by workload; means over runs."""
    columns = []
    for column in board.columns:
        means = row.result.values(column).mean(axis=0)
        columns.append([_cell(v, column.text) for v in means])
    return [list(cells) for cells in zip(*columns, strict=True)]


def _cell(value: np.float64, text: Callable[[float], str]) -> tuple[float | None, str]:
    return (None, "–") if np.isnan(value) else (six_digits(value), text(float(value)))  # noqa: RUF001 (an en dash, as tables have)
