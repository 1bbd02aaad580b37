"""What a report says beyond its tables: aggregates, comparisons of pairs, profiles and curves."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from edge_marl.benchmarks.report.intervals import Band, Estimate
from edge_marl.benchmarks.report.overall import (
    Aggregate,
    Generalisation,
    build_aggregates,
    build_generalisations,
)
from edge_marl.benchmarks.report.stats import curve, difference, probability_of_improvement, profile
from edge_marl.benchmarks.report.tables import Row, Table

__all__ = [
    "THRESHOLDS",
    "Analysis",
    "Comparison",
    "Report",
    "learning_curve",
    "performance_profile",
]

THRESHOLDS = np.linspace(-1.0, 1.0, 201)
"""Scores at which performance profiles are given: fixed, whatever the agents at hand."""


@dataclass(frozen=True)
class Comparison:
    """An agent against another on common workloads, by normalised score."""

    agent: str
    other: str
    difference: Estimate
    """Mean of the first's score less the other's."""
    improvement: Estimate
    """Probability that the first's is higher."""


@dataclass(frozen=True)
class Analysis:
    """A table with what follows from the same records."""

    table: Table

    @cached_property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every pair of agents that have scores, by name."""
        rows = sorted(
            (row for row in self.table.rows if row.scores.size), key=lambda row: row.agent.name
        )
        return tuple(self._compare(*pair) for pair in combinations(rows, 2))

    def _compare(self, row: Row, other: Row) -> Comparison:
        return Comparison(
            row.agent.name,
            other.agent.name,
            difference(row.scores, other.scores),
            probability_of_improvement(row.scores, other.scores),
        )

    @cached_property
    def _by_pair(self) -> dict[tuple[str, str], Estimate]:
        return {(c.agent, c.other): c.improvement for c in self.comparisons}

    def improvement(self, row: Row, other: Row) -> Estimate:
        """Return the probability that the first agent's score is higher than the other's."""
        names = row.agent.name, other.agent.name
        if (found := self._by_pair.get(names)) is not None:
            return found
        back = self._by_pair[names[::-1]]
        return Estimate(1.0 - back.value, 1.0 - back.high, 1.0 - back.low)


@dataclass(frozen=True)
class Report:
    """The tables of a run and what follows from them."""

    tables: list[Table]

    @cached_property
    def analyses(self) -> list[Analysis]:
        """One per scenario."""
        return [Analysis(table) for table in self.tables]

    @cached_property
    def aggregates(self) -> list[Aggregate]:
        """Over several scenarios, if there are."""
        return build_aggregates(self.tables)

    @cached_property
    def generalisations(self) -> list[Generalisation]:
        """Of each tier with test sets, if there are."""
        return build_generalisations(self.tables)


def performance_profile(table: Table, row: Row) -> Band:
    """Return the share of an agent's scores above each of `THRESHOLDS`."""
    return profile(row.scores, THRESHOLDS)


def learning_curve(table: Table, row: Row) -> tuple[NDArray[np.float64], Band] | None:
    """Return an agent's learning curve: decisions, and utility per task on validation workloads.

    Runs are put side by side evaluation by evaluation, as far as all of them go. None for an agent
    that has no curve, or one with an undefined value.
    """
    points = min((len(one.decisions) for one in row.runs.curves), default=0)
    if points == 0:
        return None
    values = np.array([one.utility_per_task[:points] for one in row.runs.curves])
    if np.isnan(values).any():
        return None
    decisions = np.mean([one.decisions[:points] for one in row.runs.curves], axis=0)
    return decisions, curve(values)
