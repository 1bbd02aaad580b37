"""How many pairs of a board's entries its intervals tell apart, and how many it is to."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

from edge_marl.leaderboards.boards.board import Board, BoardRow

__all__ = ["ASKED", "Separation", "separation", "separation_note"]

ASKED = {"learners": 3, "heuristics": 5}
"""Pairs that a board is to tell apart, or to say that it does not."""


class Separation(NamedTuple):
    """Pairs of entries of one kind that are ranked together."""

    apart: int
    """Those whose intervals do not overlap."""
    pairs: int


def separation(board: Board) -> dict[str, Separation]:
    """Return how many pairs are told apart, of learners and of what does not learn.

    Pairs are of rows that are ranked together: in a game of one class, of learners of one budget.
    """
    found = {}
    for kind in ASKED:
        rows = [row for row in board.rows if (kind == "learners") == _learns(row)]
        pairs = [pair for pair in combinations(rows, 2) if _ranked_together(*pair)]
        apart = sum(_are_apart(board, *pair) for pair in pairs)
        found[kind] = Separation(apart, len(pairs))
    return found


def separation_note(board: Board) -> str:
    """Return in a sentence or two what the board tells apart, and whether that is enough."""
    found = separation(board)
    told = " and ".join(
        f"{one.apart} of {one.pairs} pairs of {kind}" for kind, one in found.items()
    )
    note = f"Told apart, as their intervals do not overlap: {told} that are ranked together."
    asked = " and ".join(f"{most} pairs of {kind}" for kind, most in ASKED.items())
    few = " or ".join(kind for kind, most in ASKED.items() if found[kind].apart < most)
    told = f"does not tell enough {few} apart" if few else "has them"
    return f"{note} At least {asked} are asked: this board {told}."


def _learns(row: BoardRow) -> bool:
    return row.submission.agent.kind == "learner"


def _ranked_together(one: BoardRow, two: BoardRow) -> bool:
    return one.execution == two.execution and bool(one.ranks.keys() & two.ranks.keys())


def _are_apart(board: Board, one: BoardRow, two: BoardRow) -> bool:
    first, second = (row.estimates[board.ranked_by.name] for row in (one, two))
    return first.low > second.high or second.low > first.high
