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

Two consequences are part of the design:

* The columns that are drawn depend on nothing but their number, so all agents share them, and no
  agent's figures depend on which other agents a table has.
* Few rows make an interval too narrow (2 runs: 57 to 94 %), which no resampling can mend. Below
  `MIN_RUNS` a table has to say so. An agent whose actions depend on no seed has one row that is all
  there is to know about it: its interval is one over workloads, and is whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MIN_RUNS",
    "MIN_WORKLOADS",
    "Estimate",
    "estimate",
    "improvement",
    "iqm",
    "mean",
    "normalise",
]

FloatArray = NDArray[np.float64]

MIN_RUNS = 5
"""Fewer training runs than this are too few for an interval that speaks of training runs."""

MIN_WORKLOADS = 5
"""Likewise for workloads."""

RESAMPLES = 10_000
LEVEL = 0.95
ENTROPY = 20_26
"""Seed of the resampling: equal records give equal intervals, to the last bit."""

_CHUNK = 500  # resamples at a time: 10 runs x 100 workloads are then 4 MB


@dataclass(frozen=True)
class Estimate:
    """An aggregate with the ends of its interval."""

    value: float
    low: float
    high: float


def mean(values: FloatArray) -> FloatArray:
    """Mean over the last axis; values (..., n) -> (...)."""
    return np.asarray(values.mean(axis=-1))


def iqm(values: FloatArray) -> FloatArray:
    """Interquartile mean over the last axis; values (..., n) -> (...).

    The mean of what is left without the floor(n / 4) lowest and the floor(n / 4) highest values:
    less noisy than the median, and not moved by single outliers (Agarwal et al., Deep
    reinforcement learning at the edge of the statistical precipice, NeurIPS 2021).
    """
    n = values.shape[-1]
    cut = n // 4
    # Without the sort the sum's order, and with it the last bit, would follow the input's order.
    return np.asarray(np.sort(values, axis=-1)[..., cut : n - cut].mean(axis=-1))


def estimate(
    values: FloatArray,
    statistic: Callable[[FloatArray], FloatArray] = mean,
    *,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
    entropy: int = ENTROPY,
) -> Estimate:
    """Return a statistic of all entries with its two-way bootstrap percentile interval.

    Args:
        values: (runs, workloads), at least one of each, all finite.
        statistic: reduces the last axis of an array, such as `mean` and `iqm`.
        resamples: number of bootstrap samples.
        level: share of the bootstrap distribution that the interval holds.
        entropy: seed of the resampling.

    Raises:
        ValueError: if `values` is no matrix, empty, or not all finite.
    """
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"values of shape {values.shape}: needs one row per run, one column per workload"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"values hold {values[~np.isfinite(values)][0]}: all must be finite")
    value = float(statistic(values.reshape(-1)))
    draws = _bootstrap(values, statistic, resamples, entropy)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Estimate(value, float(low), float(high))


def improvement(
    own: FloatArray,
    other: FloatArray,
    *,
    resamples: int = 2_000,
    level: float = LEVEL,
    entropy: int = ENTROPY,
) -> Estimate:
    """Return the probability that a run of one agent is better than a run of another.

    On a workload drawn at random, each agent with a run drawn at random; an equal figure counts
    half (Agarwal et al. 2021). The interval draws workloads, the same for both, and the runs of
    each agent.

    Args:
        own: figures of the first agent, (runs, workloads).
        other: of the second, (its runs, the same workloads).
        resamples: number of bootstrap samples.
        level: share of the bootstrap distribution that the interval holds.
        entropy: seed of the resampling.

    Raises:
        ValueError: if the matrices are not of the same workloads.
    """
    if own.ndim != 2 or other.ndim != 2 or own.shape[1] != other.shape[1]:
        raise ValueError(f"shapes {own.shape} and {other.shape}: both need the same workloads")
    difference = own[:, None, :] - other[None, :, :]
    wins = (difference > 0) + 0.5 * (difference == 0)
    for_columns, for_own, for_other = (
        np.random.Generator(np.random.PCG64(stream))
        for stream in np.random.SeedSequence(entropy).spawn(3)
    )
    sizes = zip((for_own, for_other, for_columns), wins.shape, strict=True)
    a, b, columns = (g.multinomial(n, [1 / n] * n, size=resamples) / n for g, n in sizes)
    draws = np.einsum("ra,rb,rw,abw->r", a, b, columns, wins, optimize=True)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    return Estimate(float(wins.mean()), float(low), float(high))


def _bootstrap(
    values: FloatArray,
    statistic: Callable[[FloatArray], FloatArray],
    resamples: int,
    entropy: int,
) -> FloatArray:
    """Statistics (resamples,) of matrices with rows and columns drawn with replacement."""
    runs, workloads = values.shape
    # Two streams, so that the columns drawn do not depend on the number of rows.
    for_columns, for_rows = (
        np.random.Generator(np.random.PCG64(stream))
        for stream in np.random.SeedSequence(entropy).spawn(2)
    )
    columns = for_columns.integers(workloads, size=(resamples, workloads))
    rows = for_rows.integers(runs, size=(resamples, runs))
    parts = []
    for start in range(0, resamples, _CHUNK):
        part = slice(start, start + _CHUNK)
        drawn = values[rows[part, :, None], columns[part, None, :]]
        parts.append(statistic(drawn.reshape(len(drawn), -1)))
    return np.concatenate(parts)


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
