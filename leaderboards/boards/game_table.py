"""The table of a game: heuristics, references and learners side by side, and what the gap is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.leaderboards.boards.board import Board
from edge_marl.leaderboards.boards.standings import Standing, best_of, compared, standings
from edge_marl.scenario.evidence import NONE, gap_told, read_evidence

__all__ = ["GAME_NOTE", "game_rows", "game_told", "won_back"]

FIGURES = {
    "utility per request": ("utility_per_task", 1.0, 3),
    "score": ("score", 1.0, 3),
    "crashes (%)": ("server_crash_rate", 100.0, 2),
    "lost (%)": ("lost_fraction", 100.0, 1),
    "herding (%)": ("herding", 100.0, 1),
    "fairness": ("gateway_fairness", 1.0, 3),
    "idle (%)": ("idle_share", 100.0, 1),
    "price (%)": ("price", 100.0, 1),
}
"""Columns: a figure, what it is multiplied by, and digits."""

GAME_NOTE = (
    "From: the newest entry of an agent on the board, or else the evidence that ships with the "
    "game, which has no intervals of crashes and losses, and means of scores where entries have "
    "interquartile means."
)


def game_rows(board: Board) -> list[tuple[str, ...]]:
    """Return the table of a game, its head first and then the best; empty if nothing is known."""
    rows = [_row(one) for one in standings(board)]
    return [("agent", "what", "from", *FIGURES), *rows] if rows else []


def game_told(board: Board) -> str:
    """Return what coordination is worth in a game, and what its best learner wins back of that."""
    evidence = read_evidence(board.scenario)
    if evidence is None or "in_turn" not in evidence:
        return "What coordination is worth here has not been measured."
    found = standings(board)
    told, best, learner = gap_told(evidence), best_of(found, "heuristic"), best_of(found, "learner")
    if learner is None or best is None:
        return f"{told} No learner has an entry yet."
    utility, share = learner.utility, won_back(board, found, learner)
    side = {"above": "above every heuristic", "below": f"below {best.told}"}.get(
        compared(learner, best), f"not told apart from {best.told}"
    )
    told += (
        f" The best learner, {learner.told}, gets {utility.value:.3f} [{utility.low:.3f}, "
        f"{utility.high:.3f}], {side}"
    )
    return told + (f": {100 * share:.0f} % of the gap." if share is not None and share > 0 else ".")


def won_back(board: Board, found: Sequence[Standing], learner: Standing) -> float | None:
    """Return how far a learner gets on the way from the best heuristic at once to the best in turn.

    0 and less is nothing, 1 all of it; None where the evidence does not say, or there is no gap.

    Args:
        board: of the game.
        found: its standings.
        learner: one of them.
    """
    best, evidence = best_of(found, "heuristic"), read_evidence(board.scenario)
    if best is None or evidence is None or "in_turn" not in evidence:
        return None
    highest = max(row["utility_per_task"][0] for row in evidence["in_turn"].values())
    gap = highest - best.utility.value
    return (learner.utility.value - best.utility.value) / gap if gap > 0 else None


def _row(one: Standing) -> tuple[str, ...]:
    what = f"learner, {one.budget}" if one.budget else one.kind
    return one.name, what, one.source, *(_cell(one, *figure) for figure in FIGURES.values())


def _cell(one: Standing, figure: str, scale: float, digits: int) -> str:
    found: Estimate | None = one.figures.get(figure)
    if found is None:
        return NONE
    value, low, high = (
        f"{part * scale:z.{digits}f}" for part in (found.value, found.low, found.high)
    )
    return value if math.isnan(found.low) else f"{value} [{low}, {high}]"
