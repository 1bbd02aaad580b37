"""What every agent is known to get in a world: by its entry, or else by the evidence that ships."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from edge_marl.benchmarks.plan.budgets import BudgetClass, budget_class
from edge_marl.benchmarks.report.columns import PRICE, SCORE
from edge_marl.benchmarks.report.intervals import Estimate
from edge_marl.benchmarks.report.stats import estimate
from edge_marl.leaderboards.boards.board import Board, BoardRow, six_digits
from edge_marl.scenario.evidence import read_evidence, references_of_game

__all__ = ["Kind", "Standing", "best_of", "compared", "standings"]

Kind = Literal["heuristic", "reference", "learner"]

IN_ENTRIES = {
    "score": SCORE,
    "utility_per_task": "utility_per_task",
    "server_crash_rate": "server_crash_rate",
    "lost_fraction": "lost_fraction",
    "herding": "herding",
    "price": PRICE,
}
"""Figures by their names in evidence, and the columns of boards that have them."""
IN_LOGS = ("gateway_fairness", "idle_share")
"""Figures of games that boards have no column for: they are read from the log."""

IN_TURN = "in-turn"


@dataclass(frozen=True)
class Standing:
    """What one agent gets on the test workloads."""

    name: str
    """With the settings that were chosen."""
    kind: Kind
    """A reference decides centrally or in turn in a game."""
    budget: BudgetClass | None
    """Class of a learner's training."""
    runs: int
    row: BoardRow | None
    """Its entry; None where it is known from the evidence."""
    figures: dict[str, Estimate]
    """By name as evidence has them; a mean without an interval has NaN for its ends."""

    @property
    def agent(self) -> str:
        """Its name alone."""
        return self.name.split()[0]

    @property
    def utility(self) -> Estimate:
        """Per task, the one figure that all have."""
        return self.figures["utility_per_task"]

    @property
    def source(self) -> str:
        """Where its figures are from, `entry` or `evidence`."""
        return "evidence" if self.row is None else "entry"

    @property
    def told(self) -> str:
        """Its name and the class of its training."""
        return f"`{self.name}`, {self.budget}" if self.budget else f"`{self.name}`"


def standings(board: Board) -> list[Standing]:
    """Return what is known of a world, the best utility first; nothing where nothing is.

    An agent that has an entry is known by it and not by the evidence: a learner by that of its
    class, whatever settings were chosen.
    """
    found = list(map(_of_row, board.rows))
    entered = {(one.agent if one.budget else one.name, one.budget) for one in found}
    found += [
        one
        for one in _of_evidence(board)
        if (one.agent if one.budget else one.name, one.budget) not in entered
    ]
    return sorted(found, key=lambda one: (-one.utility.value, one.name))


def best_of(
    found: Sequence[Standing], kind: Kind, budget: BudgetClass | None = None, agent: str = ""
) -> Standing | None:
    """Return the first standing of a kind, a class of budgets and an agent; None if there is none.

    Args:
        found: the best first.
        kind: of the standing.
        budget: None is any.
        agent: its name without settings; empty is any.
    """
    return next(
        (
            one
            for one in found
            if one.kind == kind and budget in (None, one.budget) and agent in ("", one.agent)
        ),
        None,
    )


def compared(one: Standing, other: Standing) -> Literal["above", "below", "not apart"]:
    """Return whether one gets more utility than another, by intervals that do not overlap."""
    if one.utility.low > other.utility.high:
        return "above"
    return "below" if one.utility.high < other.utility.low else "not apart"


def _of_row(row: BoardRow) -> Standing:
    sub = row.submission
    figures = {
        name: row.estimates[column]
        for name, column in IN_ENTRIES.items()
        if column in row.estimates
    }
    if sub.game is not None and row.result is row.log:
        figures |= {name: found for name in IN_LOGS if (found := _logged(row, name)) is not None}
    learns, central = sub.agent.kind == "learner", row.execution == "central"
    name = sub.agent.full_name
    if central and name.startswith(f"{IN_TURN}."):
        name = f"{IN_TURN}:{name.removeprefix(f'{IN_TURN}.')}"  # names of folders have no colon
    kind: Kind = "reference" if central else "learner" if learns else "heuristic"
    return Standing(name, kind, sub.budget_class, len(sub.runs), row, figures)


def _logged(row: BoardRow, name: str) -> Estimate | None:
    """Return the mean of a metric that is between 0 and 1; None where an episode has none."""
    values = np.array([run.metrics.get(name, (None,)) for run in row.submission.runs], dtype=float)
    if not np.isfinite(values).all():
        return None
    found = estimate(values).within(0.0, 1.0)
    return Estimate(*map(six_digits, (found.value, found.low, found.high)))


def _of_evidence(board: Board) -> list[Standing]:
    evidence = read_evidence(board.scenario)
    if evidence is None:
        return []
    kinds: dict[Kind, dict[str, Any]] = {
        "heuristic": evidence["agents"],
        "reference": references_of_game(evidence),
    }
    found = [
        Standing(name, kind, None, 1, None, _figures(row))
        for kind, rows in kinds.items()
        for name, row in rows.items()
    ]
    if learner := evidence.get("learner"):
        name, size = learner["agent"].replace('"', ""), budget_class(learner["budget"])
        found.append(Standing(name, "learner", size, learner["seeds"], None, _figures(learner)))
    return found


def _figures(row: dict[str, Any]) -> dict[str, Estimate]:
    names = [name for name in (*IN_ENTRIES, *IN_LOGS) if row.get(name) is not None]
    return {
        name: Estimate(row[name], np.nan, np.nan)
        if isinstance(row[name], float | int)
        else Estimate(*row[name])
        for name in names
    }
