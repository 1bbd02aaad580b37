"""`pretrained.json`: the trained policies that `edge_marl.agents.load_pretrained` knows."""

from __future__ import annotations

import json
from collections.abc import Iterator

from edge_marl.agents.pretrained import Pretrained
from edge_marl.leaderboards.boards.board import Board, BoardRow

__all__ = ["to_pretrained"]


def to_pretrained(boards: list[Board]) -> str:
    """Return the list of the learners whose policies were re-executed, as JSON.

    Of an agent's several entries on a board, of other budgets, dates or authors, it has the best.
    Who only claims is not in it, nor what somebody's own code is needed for.
    """
    best: dict[tuple[str, str], Pretrained] = {}
    for one in (found for board in boards for found in _of_board(board)):
        key = (one.scenario, one.agent)
        if key not in best or one.score > best[key].score:
            best[key] = one
    facts = [best[key].model_dump() for key in sorted(best)]
    return json.dumps(facts, indent=1) + "\n"


def _of_board(board: Board) -> Iterator[Pretrained]:
    for row, _ in board.entries:
        sub = row.submission
        if sub.agent.kind == "learner" and sub.agent.registered and _is_re_executed(row):
            yield Pretrained(
                agent=sub.agent.name,
                scenario=board.scenario.label,
                budget=sub.about.training.budget,
                score=row.estimates[board.ranked_by.name].value,
                submission=row.entry.name,
                files={
                    place.removeprefix("policy/"): sha256
                    for place, sha256 in sorted(sub.files.items())
                    if place.startswith("policy/")
                },
            )


def _is_re_executed(row: BoardRow) -> bool:
    return row.level in ("re-executed", "held-out")
