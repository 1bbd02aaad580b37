"""What the page that compares two entries of a board needs: their results, workload by workload."""

from __future__ import annotations

from itertools import combinations
from typing import Any

from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.benchmarks.report.stats import difference
from edge_marl.leaderboards.boards.board import Board, BoardRow, six_digits

__all__ = ["compared"]

DIGITS = 4
"""Digits behind the point of a workload's result: more than the page shows."""


def compared(board: Board) -> dict[str, Any]:
    """Return the ranked entries' results on the test workloads, and the difference of each pair.

    As the player's facts, for a script: `entries` has name, folder and a mean over runs per
    workload, `pairs` by two numbers of entries (`0,1`) mean difference and the ends of its
    interval.
    """
    values = [_on_test_workloads(board, row) for row in board.rows]
    entries = [
        {
            "name": board.label_of(row),
            "folder": row.entry.folder.name,
            "values": [round(float(v), DIGITS) for v in found.mean(axis=0)],
        }
        for row, found in zip(board.rows, values, strict=True)
    ]
    pairs = {}
    for one, two in combinations(range(len(values)), 2):
        found = difference(values[one], values[two])
        pairs[f"{one},{two}"] = [six_digits(v) for v in (found.value, found.low, found.high)]
    column = board.ranked_by
    what = {"what": column.short.lower(), "digits": column.digits}
    return {**what, "entries": entries, "pairs": pairs}


def _on_test_workloads(board: Board, row: BoardRow) -> FloatArray:
    """Return (runs, workloads); of what was ranked on other workloads, what its log got."""
    result = row.result if row.workloads == "test" else row.log
    return result.values(board.ranked_by)
