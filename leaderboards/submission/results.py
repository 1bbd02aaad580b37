"""What runs got on workloads, in the figures that boards rank and show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_marl.benchmarks.report.columns import (
    COLUMNS,
    GAME_COLUMNS,
    PRICE,
    SCORE,
    Column,
    columns_of,
)
from edge_marl.benchmarks.report.intervals import FloatArray
from edge_marl.benchmarks.report.stats import normalise, prices
from edge_marl.bound import Anchors
from edge_marl.bound.anchor_pairs import shipped_pairs
from edge_marl.errors import SubmissionError
from edge_marl.leaderboards.submission.chain import Episode
from edge_marl.leaderboards.submission.ledger import HeldOut, Outcome
from edge_marl.leaderboards.submission.schema import Submission
from edge_marl.scenario import Scenario
from edge_marl.scenario.evidence import reference_of

__all__ = ["Result", "held_out_result", "outcome_of", "ranked_by", "result_of"]

MADE = (SCORE, PRICE)
"""Columns that are no metrics."""

Metrics = dict[str, tuple[tuple[float | None, ...], ...]]
"""(runs, workloads) of each, as an `Outcome` has them."""


@dataclass(frozen=True, eq=False)
class Result:
    """What the runs of a submission got on some workloads."""

    metrics: dict[str, FloatArray]
    """(runs, workloads) of utility, and of what the board has columns for; NaN where an episode has
    none."""
    scores: FloatArray
    """(runs, workloads) normalised scores; (0, 0) where the scenario has no anchors."""
    prices: FloatArray
    """(runs, workloads) of decentralisation; (0, 0) where no reference is known."""

    def values(self, column: Column) -> FloatArray:
        """Return (runs, workloads) of a column."""
        made = {SCORE: self.scores, PRICE: self.prices}
        return made[column.name] if column.name in made else self.metrics[column.name]


def ranked_by(scenario: Scenario) -> Column:
    """Return what decides on a scenario's board: score, or utility where it has no anchors."""
    return COLUMNS[0] if shipped_pairs(scenario) else COLUMNS[1]


def outcome_of(runs: Sequence[Sequence[Episode]]) -> Outcome:
    """Return what a policy got, given the episodes of each run."""
    known = runs[0][0].metrics
    return Outcome(
        metrics={
            name: tuple(tuple(episode.metrics[name] for episode in run) for run in runs)
            for name in _kept(COLUMNS + GAME_COLUMNS)
            if name in known
        }
    )


def _kept(columns: Sequence[Column]) -> list[str]:
    """Return the metrics that columns need."""
    return ["utility", *(column.name for column in columns if column.name not in MADE)]


def result_of(submission: Submission, outcome: Outcome | None, scenario: Scenario) -> Result:
    """Return what a policy, or with None its log, got on the test workloads.

    Raises:
        SubmissionError: a metric is missing, or a workload is no test workload of the scenario.
    """
    ends = _test_anchors(submission, scenario)
    found = _result(outcome.metrics if outcome else _logged(submission, scenario), ends, scenario)
    if reference := reference_of(scenario):
        utility = found.metrics["utility_per_task"]
        return replace(found, prices=prices(utility, np.array(reference[1])))
    return found


def held_out_result(held_out: HeldOut, scenario: Scenario) -> Result:
    """Return what a policy got on its held-out workloads.

    Raises:
        SubmissionError: it is not known, or the anchors that the board needs are not.
    """
    if held_out.outcome is None:
        raise SubmissionError(f"{held_out.source}: what it got there was not kept: verify it again")
    anchors = None
    if held_out.random is not None and held_out.bound is not None:
        anchors = Anchors(np.array(held_out.random), np.array(held_out.bound))
    elif ranked_by(scenario).name == SCORE:
        raise SubmissionError(f"{held_out.source}: its workloads lack anchors: verify it again")
    return _result(held_out.outcome.metrics, anchors, scenario)


def _logged(submission: Submission, scenario: Scenario) -> Metrics:
    """Return what a log says of what a result holds, but for metrics that a run lacks."""
    runs = [run.metrics for run in submission.runs]
    return {
        name: tuple(metrics[name] for metrics in runs)
        for name in _kept(columns_of(scenario))
        if all(name in metrics for metrics in runs)
    }


def _test_anchors(submission: Submission, scenario: Scenario) -> Anchors | None:
    pairs = shipped_pairs(scenario)
    if not pairs:
        return None
    try:
        ends = np.array([pairs[digest] for digest in submission.workloads])
    except KeyError as error:
        raise SubmissionError(
            f"{error} is no test workload of {scenario.label}: run the agent on the test workloads "
            "of this version"
        ) from None
    return Anchors(ends[:, 0], ends[:, 1])


def _result(found: Metrics, anchors: Anchors | None, scenario: Scenario) -> Result:
    kept = _kept(columns_of(scenario))
    if missing := [name for name in kept if name not in found]:
        raise SubmissionError(f"metric '{missing[0]}' is missing")
    metrics = {name: np.array(found[name], np.float64) for name in kept}
    scores = np.empty((0, 0))
    if anchors is not None:
        scores = normalise(metrics["utility"], anchors.random, anchors.bound)
    return Result(metrics, scores, np.empty((0, 0)))
