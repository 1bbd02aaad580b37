"""Aggregates over training runs and workloads, with intervals that cover what they say.

The data of one agent is a matrix, one row per seed (a training run) and one column per test
workload. Both are samples: of the runs one could have had, and of the days one could have met. They
cross: every run is evaluated on every workload, and all agents on the same ones. So the entries are
not independent. A bad run is bad on every workload, and a busy workload is busy for every run.

An interval is Student's t with the variance of crossed random effects (`intervals.margin`), for all
figures here. Each is written as a sum of means of matrices: exactly (a mean, a difference), or to
first order (an interquartile mean, a ratio, a probability of improvement). With one workload or one
run each they are known ones: Student's, Tukey and McLaughlin's of a trimmed mean, Welch's of a
difference, Brunner and Munzel's of a probability of improvement.

Three consequences are part of the design:

* Nothing is drawn. Equal records give equal intervals, and no agent's figures depend on which other
  agents a table has, nor on which other scenarios.
* Few runs give wide intervals, as three runs say little about all one could have had. Percentiles
  of a bootstrap (of whole rows and whole columns: Owen, The pigeonhole bootstrap, Annals of Applied
  Statistics 1(2), 2007) do not, and hold the truth less often than they say:
  `measure/interval_coverage.py` counts both.
* What no run shows, no interval knows. Where one run in ten fails, most samples of three have none
  that did. An agent whose actions depend on no seed has one row that is all there is to know about
  it: its interval is one over workloads, and is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_marl.benchmarks.report.intervals import (
    Band,
    Estimate,
    FloatArray,
    Part,
    Statistic,
    band_of,
    check_matrix,
    estimate_of,
    iqm,
    mean,
    one_of,
    standard_error,
    winsorised,
)

__all__ = [
    "COVERAGE",
    "METHOD",
    "MIN_RUNS",
    "MIN_WORKLOADS",
    "aggregate",
    "change",
    "change_error",
    "coverage_note",
    "curve",
    "difference",
    "estimate",
    "estimates",
    "has_scale",
    "normalise",
    "prices",
    "probability_of_improvement",
    "profile",
    "ratio",
]

MIN_RUNS = 5
"""Fewer training runs than this are too few for an interval that speaks of training runs: it is
wide, or does not know what none of them shows."""

MIN_WORKLOADS = 5
"""Likewise for workloads."""

METHOD = "Student's t over runs and workloads as crossed random effects"
"""How intervals are made, below a table."""

COVERAGE = {2: (89, 97), 3: (92, 98), 5: (93, 97), 10: (92, 96)}
"""By number of runs, the lowest and the highest per cent of samples of simulated populations whose
interval held the truth (`measure/interval_coverage.py`; the intervals of `estimate`)."""
COVERAGE_OF_FAILING = {2: (17, 95), 3: (25, 96), 5: (40, 97), 10: (64, 97)}
"""The same where one run in ten fails."""


def coverage_note(counts: Iterable[int]) -> list[str]:
    """Return what intervals over so many runs are worth, as a note; none of single runs."""
    known = {max(n for n in COVERAGE if n <= count) for count in counts if count >= min(COVERAGE)}
    if not known:
        return []
    told = [
        "of {} runs in {} to {} % of cases ({} to {} % where one run in ten fails)".format(
            n, *COVERAGE[n], *COVERAGE_OF_FAILING[n]
        )
        for n in sorted(known)
    ]
    return [f"In simulations, such intervals held the truth: {', '.join(told)}."]


def estimate(values: FloatArray, statistic: Statistic = mean) -> Estimate:
    """Return a statistic of all entries with its interval over runs and workloads.

    Args:
        values: (runs, workloads), at least one of each, all finite.
        statistic: `mean` or `iqm`.

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    check_matrix(values)
    return one_of(estimates(values[None], statistic))


def estimates(values: FloatArray, statistic: Statistic = mean) -> Band:
    """Return `estimate` of each of (samples, runs, workloads)."""
    found = statistic(values.reshape(len(values), -1))
    if statistic is not iqm:
        return band_of(found, Part(values))
    return band_of(found, Part(winsorised(values)[0]), lost=_lost(values[0]))


def _lost(values: FloatArray) -> int:
    """Degrees of freedom that an interquartile mean loses: of one run or workload, all it cuts.

    Where runs and workloads cross, the outer quarters are hardly ever whole runs.
    """
    return 2 * (values.size // 4) if 1 in values.shape else 0


def aggregate(
    values: Sequence[FloatArray], *, scenarios: Sequence[str], trained: Sequence[str]
) -> Estimate:
    """Return the interquartile mean of runs in several scenarios, with its interval.

    An entry is what one run got in one scenario: its mean over the workloads there. The interval is
    one over runs and workloads within each scenario; the scenarios are no sample.

    Args:
        values: per scenario (runs, workloads); the same number of runs in each.
        scenarios: whose workloads they are, likewise: equal names stand for the same workloads.
        trained: where the runs were trained, likewise: equal names stand for the same runs.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of runs.
    """
    for one in values:
        check_matrix(one)
    if len({len(one) for one in values}) != 1:
        raise ValueError(f"{[len(one) for one in values]} runs: must be as many in each scenario")
    entries = np.stack([one.mean(axis=1) for one in values], axis=1)
    influence, kept = winsorised(entries)
    parts = [
        # Of the mean over scenarios. A workload counts in the entries that are not cut.
        Part((own[:, None] + slope[:, None] * (one - entry[:, None])) / len(values), home, scenario)
        for one, entry, own, slope, home, scenario in zip(
            values, entries.T, influence.T, kept.T, trained, scenarios, strict=True
        )
    ]
    return estimate_of(float(iqm(entries.ravel())), *parts)


def difference(first: FloatArray, second: FloatArray) -> Estimate:
    """Return the mean of `first` - `second` on common workloads, with its interval.

    How busy a workload is cancels out. The runs of the two have nothing in common.

    Args:
        first: (runs, workloads) of one agent.
        second: (runs, workloads) of another, on the same workloads.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of workloads.
    """
    _check_pair(first, second)
    value = float(first.mean() - second.mean())
    return estimate_of(value, Part(first, "first"), Part(-second, "second"))


def change(first: FloatArray, second: FloatArray, statistic: Statistic = mean) -> Estimate:
    """Return a statistic of `first` less that of the same runs elsewhere, with its interval.

    How good a run is cancels out as far as it is so in both; the workloads have nothing in common.

    Args:
        first: (runs, workloads).
        second: the same runs on other workloads, of any number.
        statistic: `mean` or `iqm`.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of runs.
    """
    parts = _moved(first, second, statistic)
    value = statistic(first.ravel()) - statistic(second.ravel())
    lost = max(_lost(first), _lost(second)) if statistic is iqm else 0
    return one_of(band_of(np.array([value]), *parts, lost=lost))


def change_error(first: FloatArray, second: FloatArray, statistic: Statistic) -> float:
    """Return the standard error of `change`, whose arguments it takes.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of runs.
    """
    return standard_error(*_moved(first, second, statistic))


def _moved(first: FloatArray, second: FloatArray, statistic: Statistic) -> tuple[Part, Part]:
    """Return the parts of `change`."""
    check_matrix(first)
    check_matrix(second)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} runs: must be the same ones")
    one, other = (winsorised(v)[0] if statistic is iqm else v for v in (first, second))
    return Part(one, workloads="first"), Part(-other, workloads="second")


def ratio(first: FloatArray, second: FloatArray) -> Estimate:
    """Return the mean of `first` as a share of that of `second` on common workloads.

    The arguments are those of `difference`; the interval is that of the ratio's first order.

    Raises:
        ValueError: if a matrix cannot be used, they differ in their number of workloads, or the
            mean of `second` is not above 0.
    """
    _check_pair(first, second)
    whole = float(second.mean())
    if not whole > 0.0:
        raise ValueError(f"a mean of {whole}: a share of it says nothing")
    value = float(first.mean()) / whole
    return estimate_of(
        value, Part(first / whole, "first"), Part(second * (-value / whole), "second")
    )


def probability_of_improvement(first: FloatArray, second: FloatArray) -> Estimate:
    """Return how often a run of `first` beats one of `second` on a workload (ties count half).

    The mean over workloads of the Mann-Whitney statistic (Agarwal et al. 2021, with workloads for
    tasks). The arguments are those of `difference`. The interval is cut to 0..1, and has no width
    where every pair agrees: it then says nothing of how rare another outcome is.

    Raises:
        ValueError: if a matrix cannot be used, or they differ in their number of workloads.
    """
    _check_pair(first, second)
    beats, beaten = np.empty_like(first), np.empty_like(second)
    for k, (one, other) in enumerate(zip(first.T, second.T, strict=True)):
        pairs = (one[:, None] > other) + 0.5 * (one[:, None] == other)
        beats[:, k], beaten[:, k] = pairs.mean(axis=1), pairs.mean(axis=0)
    return estimate_of(
        float(beats.mean()),
        Part(beats, "first"),
        # What a workload does to both is in the first part.
        Part(beaten - beaten.mean(axis=0), "second"),
    ).within(0.0, 1.0)


def profile(values: FloatArray, at: FloatArray) -> Band:
    """Return the share of entries above each threshold, with its interval (performance profile).

    Intervals are cut to 0..1, and have no width where all entries are on one side.

    Args:
        values: (runs, workloads).
        at: (T,) thresholds.

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    check_matrix(values)
    above = (values > at[:, None, None]).astype(np.float64)
    found = band_of(above.mean(axis=(1, 2)), Part(above))
    return Band(found.values, found.low.clip(min=0.0), found.high.clip(max=1.0))


def curve(values: FloatArray) -> Band:
    """Return the interquartile mean over runs at each point of a curve, with its interval.

    The interval is one over runs; the workloads of the points are already averaged over.

    Args:
        values: (runs, points).

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    check_matrix(values)
    return estimates(np.ascontiguousarray(values.T)[:, :, None], iqm)


def _check_pair(first: FloatArray, second: FloatArray) -> None:
    check_matrix(first)
    check_matrix(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{first.shape[1]} and {second.shape[1]} workloads: a comparison needs common ones"
        )


def has_scale(random: FloatArray, bound: FloatArray) -> NDArray[np.bool_]:
    """Return for each workload whether there is a scale between its anchors.

    Both are rounded to six decimals, and sums of many rewards to fewer: a scale that is not a
    thousand times as wide would show nothing else.

    Args:
        random: utility of random dispatch on each workload, (workloads,).
        bound: upper bound of the utility on each workload, (workloads,).
    """
    return np.asarray(bound - random > np.maximum(1e-3, 1e-6 * np.abs(bound)))


def normalise(values: FloatArray, random: FloatArray, bound: FloatArray) -> FloatArray:
    """Return scores on the scale where random dispatch is 0 and the hindsight bound is 1.

    The anchors are fixed per workload, not taken from the agents at hand, so adding an agent to a
    table changes no other agent's score.

    Args:
        values: utility per episode, (runs, workloads).
        random: utility of random dispatch on each workload, (workloads,).
        bound: upper bound of the utility on each workload, (workloads,).

    Raises:
        ValueError: if a workload has no scale (`has_scale`).
    """
    if not (scaled := has_scale(random, bound)).all():
        at = int(np.argmin(scaled))
        raise ValueError(
            f"workload {at}: the bound {bound[at]} is not above random's {random[at]}: no scale"
        )
    return np.asarray((values - random) / (bound - random))


def prices(values: FloatArray, reference: FloatArray) -> FloatArray:
    """Return how much less than a reference each run gets, as a share of what that gets on average.

    The mean is the price of decentralisation: 0 where gateways that decide alone get as much as the
    reference, below 0 where they get more, 1 where they get nothing. Like the anchors of the score,
    what the reference got is a fact of the workloads, and no sample.

    Args:
        values: utility per task, (runs, workloads).
        reference: that of the reference on the same workloads, (workloads,).

    Returns:
        (runs, workloads); no entries, (0, 0), where the reference gets nothing on average: there is
        no share of that.
    """
    whole = float(reference.mean())
    return np.asarray((reference - values) / whole) if whole > 0.0 else np.empty((0, 0))
