"""Aggregates over training runs and workloads, with bootstrap intervals.

The data of one agent is a matrix, one row per seed (a training run) and one column per test
workload. Both are samples: of the runs one could have had, and of the days one could have met. They
cross: every run is evaluated on every workload, and all agents on the same ones. So the entries are
not independent. A bad run is bad on every workload, and a busy workload is busy for every run.

An interval therefore resamples whole rows and whole columns, each with replacement and each on its
own (the two-way or "pigeonhole" bootstrap: Owen, The pigeonhole bootstrap, Annals of Applied
Statistics 1(2), 2007). Resampling entries alone, runs anew within each workload, takes every entry
for a run of its own: in simulations with 20 workloads and 2 to 10 runs its "95 %" intervals held
the truth in 20 to 34 % of cases, the two-way ones with 5 runs or more in 83 to 95 %.

Three consequences are part of the design:

* The columns drawn depend on the scenario and their number alone, so all agents share them: a
  comparison of two agents is one on common workloads. The rows drawn depend on the agent's name as
  well, as runs of two agents have nothing in common. So no agent's figures depend on which other
  agents a table has, nor on which other scenarios.
* Few rows make an interval too narrow (2 runs: 57 to 94 %), which no resampling can mend. Below
  `MIN_RUNS` a table has to say so. An agent whose actions depend on no seed has one row that is all
  there is to know about it: its interval is one over workloads, and is whole.
* A resample is known by how often each row and each column was drawn. An entry's weight is the
  product of the two, so that means are matrix products and interquartile means need one sort of the
  entries for all resamples: 4,000 resamples of 5 x 20 entries take a few milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from edge_marl.benchmarks.report.bootstrap import (
    BAND_RESAMPLES,
    BLOCK,
    ENTROPY,
    LEVEL,
    RESAMPLES,
    Band,
    Estimate,
    FloatArray,
    Statistic,
    band_of,
    check_matrix,
    draw_counts,
    drawn_iqms,
    drawn_means,
    interval_of,
    iqm,
    mean,
    turned,
    weighted_iqms,
)

__all__ = [
    "MIN_RUNS",
    "MIN_WORKLOADS",
    "aggregate",
    "curve",
    "difference",
    "estimate",
    "normalise",
    "probability_of_improvement",
    "profile",
    "ratio",
]

MIN_RUNS = 5
"""Fewer training runs than this are too few for an interval that speaks of training runs."""

MIN_WORKLOADS = 5
"""Likewise for workloads."""


def estimate(
    values: FloatArray,
    statistic: Statistic = mean,
    *,
    agent: str = "",
    scenario: str = "",
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    entropy: int = ENTROPY,
) -> Estimate:
    """Return a statistic of all entries with its two-way bootstrap percentile interval.

    Args:
        values: (runs, workloads), at least one of each, all finite.
        statistic: `mean` or `iqm`.
        agent: whose runs the rows are; names their stream of draws.
        scenario: whose workloads the columns are; names theirs.
        resamples: number of bootstrap samples.
        level: share of the bootstrap distribution that the interval holds.
        entropy: seed of the resampling.

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    check_matrix(values)
    rows = draw_counts(values.shape[0], resamples, entropy, "runs", agent, scenario)
    columns = draw_counts(values.shape[1], resamples, entropy, "workloads", scenario)
    resampled = drawn_iqms if statistic is iqm else drawn_means
    return interval_of(float(statistic(values.ravel())), resampled(values, rows, columns), level)


def aggregate(
    values: Sequence[FloatArray],
    *,
    agent: str = "",
    scenarios: Sequence[str],
    trained: Sequence[str],
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Return the interquartile mean of runs in several scenarios, with its interval.

    An entry is what one run got in one scenario: its mean over the workloads there. Within each
    scenario, runs and workloads are resampled; the scenarios are not. With one workload each this
    is rliable's stratified bootstrap, with scenarios for tasks.

    Args:
        values: per scenario (runs, workloads); the same number of runs in each.
        agent: whose runs they are; names their streams of draws.
        scenarios: whose workloads they are, likewise: equal names stand for the same workloads.
        trained: where the runs were trained, likewise: equal names stand for the same runs.
        resamples: number of bootstrap samples.
        level: share of the bootstrap distribution that the interval holds.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of runs.
    """
    for one in values:
        check_matrix(one)
    if len({len(one) for one in values}) != 1:
        raise ValueError(f"{[len(one) for one in values]} runs: must be as many in each scenario")
    entries, weights = [], []
    for one, scenario, place in zip(values, scenarios, trained, strict=True):
        drawn = draw_counts(one.shape[1], resamples, ENTROPY, "workloads", scenario)
        entries.append(drawn @ one.T / one.shape[1])
        weights.append(draw_counts(len(one), resamples, ENTROPY, "runs", agent, place))
    draws = weighted_iqms(np.concatenate(entries, axis=1), np.concatenate(weights, axis=1))
    return interval_of(
        float(iqm(np.concatenate([one.mean(axis=1) for one in values]))), draws, level
    )


def difference(
    first: FloatArray,
    second: FloatArray,
    *,
    agents: tuple[str, str] = ("first", "second"),
    scenario: str = "",
    resamples: int = BAND_RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Return the mean of `first` - `second` on common workloads, with its interval.

    Workloads are resampled together: how busy a workload is cancels out. Runs are resampled by
    agent.

    Args:
        first: (runs, workloads) of one agent.
        second: (runs, workloads) of another, on the same workloads.
        agents: their names, which name their streams of draws.
        scenario: whose workloads they are.
        resamples: number of bootstrap samples.
        level: share of the bootstrap distribution that the interval holds.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of workloads.
    """
    one, other = _means_of_pair(first, second, agents, scenario, resamples)
    return interval_of(float(first.mean() - second.mean()), one - other, level)


def ratio(
    first: FloatArray,
    second: FloatArray,
    *,
    agents: tuple[str, str] = ("first", "second"),
    scenario: str = "",
    resamples: int = BAND_RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Return the mean of `first` as a share of that of `second` on common workloads.

    The arguments are those of `difference`.

    Raises:
        ValueError: if a matrix cannot be used, they differ in their number of workloads, or the
            mean of `second` is not above 0.
    """
    one, other = _means_of_pair(first, second, agents, scenario, resamples)
    if not second.mean() > 0.0:
        raise ValueError(f"a mean of {second.mean()}: a share of it says nothing")
    return interval_of(float(first.mean() / second.mean()), one / other, level)


def probability_of_improvement(
    first: FloatArray,
    second: FloatArray,
    *,
    agents: tuple[str, str] = ("first", "second"),
    scenario: str = "",
    resamples: int = BAND_RESAMPLES,
    level: float = LEVEL,
) -> Estimate:
    """Return how often a run of `first` beats one of `second` on a workload (ties count half).

    The mean over workloads of the Mann-Whitney statistic (Agarwal et al. 2021, with workloads for
    tasks). The arguments are those of `difference`.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of workloads.
    """
    _check_pair(first, second)
    columns = draw_counts(first.shape[1], resamples, ENTROPY, "workloads", scenario)
    rows, others = (
        draw_counts(len(values), resamples, ENTROPY, "runs", name, scenario).astype(np.float32)
        for values, name in zip((first, second), agents, strict=True)
    )
    value, draws = 0.0, np.zeros(resamples)
    for one, other, drawn in zip(first.T, second.T, columns.T, strict=True):
        beaten = (one[:, None] > other) + 0.5 * (one[:, None] == other)
        value += beaten.sum()
        # Halves of whole numbers: exact in single precision.
        draws += drawn * np.einsum("bj,bj->b", rows @ beaten.astype(np.float32), others)
    pairs = len(first) * second.size
    return interval_of(float(value / pairs), draws / pairs, level)


def profile(
    values: FloatArray,
    at: FloatArray,
    *,
    agent: str = "",
    scenario: str = "",
    resamples: int = BAND_RESAMPLES,
    level: float = LEVEL,
) -> Band:
    """Return the share of entries above each threshold, with its interval (performance profile).

    Args:
        values: (runs, workloads).
        at: (T,) thresholds.
        agent: see `estimate`, like the others.
        scenario: see there.
        resamples: see there.
        level: see there.

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    check_matrix(values)
    rows = draw_counts(values.shape[0], resamples, ENTROPY, "runs", agent, scenario)
    columns = draw_counts(values.shape[1], resamples, ENTROPY, "workloads", scenario)
    order = np.argsort(values, axis=None)
    row, column = np.unravel_index(order, values.shape)
    # Entries up to place i of the sorted ones are at most the threshold: their weights add up.
    place = np.searchsorted(values.ravel()[order], at, side="right")
    edges = np.union1d(place, np.arange(0, values.size, BLOCK))
    across, down = turned(rows, columns)
    below = np.zeros((len(edges), resamples))
    for i, (start, end) in enumerate(pairwise(edges), start=1):
        weight = across[row[start:end]] * down[column[start:end]]
        below[i] = below[i - 1] + weight.sum(axis=0, dtype=weight.dtype)
    above = 1.0 - below[np.searchsorted(edges, place)].T / values.size
    return band_of(1.0 - place / values.size, above, level)


def curve(
    values: FloatArray,
    *,
    agent: str = "",
    scenario: str = "",
    resamples: int = BAND_RESAMPLES,
    level: float = LEVEL,
) -> Band:
    """Return the interquartile mean over runs at each point of a curve, with its interval.

    Runs are resampled, as whole curves; the workloads of the points are already averaged over.

    Args:
        values: (runs, points).
        agent: see `estimate`, like the others.
        scenario: see there.
        resamples: see there.
        level: see there.

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    check_matrix(values)
    rows = draw_counts(len(values), resamples, ENTROPY, "runs", agent, scenario)
    one = np.ones((resamples, 1))
    points = [values[:, [i]] for i in range(values.shape[1])]
    draws = np.stack([drawn_iqms(point, rows, one) for point in points], axis=1)
    return band_of(iqm(values.T), draws, level)


def _check_pair(first: FloatArray, second: FloatArray) -> None:
    check_matrix(first)
    check_matrix(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{first.shape[1]} and {second.shape[1]} workloads: a comparison needs common ones"
        )


def _means_of_pair(
    first: FloatArray,
    second: FloatArray,
    agents: tuple[str, str],
    scenario: str,
    resamples: int,
) -> tuple[FloatArray, FloatArray]:
    """Means of two agents' resampled matrices, on the same workloads; (B,) each."""
    _check_pair(first, second)
    columns = draw_counts(first.shape[1], resamples, ENTROPY, "workloads", scenario)
    one, other = (
        drawn_means(
            values, draw_counts(len(values), resamples, ENTROPY, "runs", name, scenario), columns
        )
        for values, name in zip((first, second), agents, strict=True)
    )
    return one, other


def normalise(values: FloatArray, random: FloatArray, bound: FloatArray) -> FloatArray:
    """Return scores on the scale where random dispatch is 0 and the hindsight bound is 1.

    The anchors are fixed per workload, not taken from the agents at hand, so adding an agent to a
    table changes no other agent's score.

    Args:
        values: utility per episode, (runs, workloads).
        random: utility of random dispatch on each workload, (workloads,).
        bound: upper bound of the utility on each workload, (workloads,), above `random`.

    Raises:
        ValueError: if a bound is not above its random anchor.
    """
    if not (bound > random).all():
        at = int(np.argmin(bound - random))
        raise ValueError(
            f"workload {at}: the bound {bound[at]} is not above random's {random[at]}: no scale"
        )
    return np.asarray((values - random) / (bound - random))
