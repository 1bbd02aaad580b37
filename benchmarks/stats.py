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

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import isqrt, prod

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MIN_RUNS",
    "MIN_WORKLOADS",
    "Band",
    "Estimate",
    "aggregate",
    "curve",
    "difference",
    "estimate",
    "iqm",
    "mean",
    "normalise",
    "probability_of_improvement",
    "profile",
    "ratio",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

MIN_RUNS = 5
"""Fewer training runs than this are too few for an interval that speaks of training runs."""

MIN_WORKLOADS = 5
"""Likewise for workloads."""

RESAMPLES = 4_000
"""Places the ends of an interval to some 1 % of its width."""

LEVEL = 0.95
ENTROPY = 20_26
"""Seed of the resampling: equal records give equal intervals, to the last bit."""

BAND_RESAMPLES = 2_000
"""Of comparisons of pairs and of bands: many figures, none of which is quoted to its last digit."""

_PART = 2_000  # resamples at a time: they stay in the cache
_BLOCK = 16  # sorted entries at a time, at least


@dataclass(frozen=True)
class Estimate:
    """An aggregate with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Band:
    """An aggregate at each point of a line, with the ends of its intervals; (points,) each."""

    values: FloatArray
    low: FloatArray
    high: FloatArray


Statistic = Callable[[FloatArray], FloatArray]
"""Reduces the last axis: `mean` or `iqm`."""


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
    _check(values)
    rows = _counts(values.shape[0], resamples, entropy, "runs", agent, scenario)
    columns = _counts(values.shape[1], resamples, entropy, "workloads", scenario)
    resampled = _iqms if statistic is iqm else _means
    return _interval(float(statistic(values.ravel())), resampled(values, rows, columns), level)


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
        _check(one)
    if len({len(one) for one in values}) != 1:
        raise ValueError(f"{[len(one) for one in values]} runs: must be as many in each scenario")
    entries, weights = [], []
    for one, scenario, place in zip(values, scenarios, trained, strict=True):
        drawn = _counts(one.shape[1], resamples, ENTROPY, "workloads", scenario)
        entries.append(drawn @ one.T / one.shape[1])
        weights.append(_counts(len(one), resamples, ENTROPY, "runs", agent, place))
    draws = _weighted_iqms(np.concatenate(entries, axis=1), np.concatenate(weights, axis=1))
    return _interval(float(iqm(np.concatenate([one.mean(axis=1) for one in values]))), draws, level)


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
    return _interval(float(first.mean() - second.mean()), one - other, level)


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
    return _interval(float(first.mean() / second.mean()), one / other, level)


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
    columns = _counts(first.shape[1], resamples, ENTROPY, "workloads", scenario)
    rows, others = (
        _counts(len(values), resamples, ENTROPY, "runs", name, scenario).astype(np.float32)
        for values, name in zip((first, second), agents, strict=True)
    )
    value, draws = 0.0, np.zeros(resamples)
    for one, other, drawn in zip(first.T, second.T, columns.T, strict=True):
        beaten = (one[:, None] > other) + 0.5 * (one[:, None] == other)
        value += beaten.sum()
        # Halves of whole numbers: exact in single precision.
        draws += drawn * np.einsum("bj,bj->b", rows @ beaten.astype(np.float32), others)
    pairs = len(first) * second.size
    return _interval(float(value / pairs), draws / pairs, level)


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
    _check(values)
    rows = _counts(values.shape[0], resamples, ENTROPY, "runs", agent, scenario)
    columns = _counts(values.shape[1], resamples, ENTROPY, "workloads", scenario)
    order = np.argsort(values, axis=None)
    row, column = np.unravel_index(order, values.shape)
    # Entries up to place i of the sorted ones are at most the threshold: their weights add up.
    place = np.searchsorted(values.ravel()[order], at, side="right")
    edges = np.union1d(place, np.arange(0, values.size, _BLOCK))
    across, down = _turned(rows, columns)
    below = np.zeros((len(edges), resamples))
    for i, (start, end) in enumerate(pairwise(edges), start=1):
        weight = across[row[start:end]] * down[column[start:end]]
        below[i] = below[i - 1] + weight.sum(axis=0, dtype=weight.dtype)
    above = 1.0 - below[np.searchsorted(edges, place)].T / values.size
    return _band(1.0 - place / values.size, above, level)


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
    _check(values)
    rows = _counts(len(values), resamples, ENTROPY, "runs", agent, scenario)
    one = np.ones((resamples, 1))
    points = [values[:, [i]] for i in range(values.shape[1])]
    draws = np.stack([_iqms(point, rows, one) for point in points], axis=1)
    return _band(iqm(values.T), draws, level)


def _check(values: FloatArray) -> None:
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"values of shape {values.shape}: needs one row per run, one column per workload"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"values hold {values[~np.isfinite(values)][0]}: all must be finite")


def _check_pair(first: FloatArray, second: FloatArray) -> None:
    _check(first)
    _check(second)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"{first.shape[1]} and {second.shape[1]} workloads: a comparison needs common ones"
        )


@lru_cache(maxsize=64)
def _counts(n: int, resamples: int, entropy: int, *names: str) -> FloatArray:
    """How often each of `n` is drawn in each resample, (resamples, n); a stream per names.

    From raw words, whose stream NumPy keeps fixed, by their high half: off by 2^-32 at most.
    """
    text = hashlib.sha256("\n".join(names).encode()).digest()
    seed = np.random.SeedSequence([entropy, int.from_bytes(text[:16], "little")])
    words = np.random.PCG64(seed).random_raw(resamples * n) >> np.uint64(32)
    drawn = ((words * np.uint64(n)) >> np.uint64(32)).view(np.int64).reshape(resamples, n)
    flat = (drawn + n * np.arange(resamples)[:, None]).ravel()
    counts = np.bincount(flat, minlength=resamples * n).reshape(resamples, n).astype(np.float64)
    counts.flags.writeable = False  # shared by the cache
    return counts


def _means_of_pair(
    first: FloatArray,
    second: FloatArray,
    agents: tuple[str, str],
    scenario: str,
    resamples: int,
) -> tuple[FloatArray, FloatArray]:
    """Means of two agents' resampled matrices, on the same workloads; (B,) each."""
    _check_pair(first, second)
    columns = _counts(first.shape[1], resamples, ENTROPY, "workloads", scenario)
    one, other = (
        _means(values, _counts(len(values), resamples, ENTROPY, "runs", name, scenario), columns)
        for values, name in zip((first, second), agents, strict=True)
    )
    return one, other


def _means(values: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Means of resampled matrices: `rows` (B, runs), `columns` (B, workloads) -> (B,)."""
    return np.asarray(((rows @ values) * columns).sum(axis=1) / values.size)


def _iqms(values: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Interquartile means of resampled matrices, likewise.

    The sum of the lowest n - cut entries less that of the lowest `cut`. Sorted entries are summed
    up in blocks, for many resamples at once; only the blocks in which a sum ends are looked into.
    """
    n, cut = values.size, values.size // 4
    blocks = _Blocks.of(values)
    parts = []
    for start in range(0, len(rows), _PART):
        drawn = rows[start : start + _PART], columns[start : start + _PART]
        sums = blocks.sums(*drawn)
        parts.append(blocks.lowest(n - cut, *drawn, *sums) - blocks.lowest(cut, *drawn, *sums))
    return np.concatenate(parts) / (n - 2 * cut)


def _weighted_iqms(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Interquartile means of rows of entries that count `weights` times each; (B, n) -> (B,)."""
    n, cut = values.shape[1], values.shape[1] // 4
    order = np.argsort(values, axis=1)
    upto = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    kept = np.diff(np.clip(upto - cut, 0.0, n - 2 * cut), axis=1, prepend=0.0)
    return np.asarray(
        (kept * np.take_along_axis(values, order, axis=1)).sum(axis=1) / kept.sum(axis=1)
    )


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Entries of a matrix in ascending order, in blocks: (blocks, size) each."""

    values: FloatArray
    row: IntArray
    column: IntArray

    @classmethod
    def of(cls, values: FloatArray) -> _Blocks:
        size = max(_BLOCK, isqrt(values.size) // 2)
        order = np.argsort(values, axis=None)
        # Filled up with entries that come after all others, so that no sum takes them.
        place = np.append(order, np.repeat(order[-1], -len(order) % size)).reshape(-1, size)
        return cls(values.ravel()[place], *np.unravel_index(place, values.shape))

    def sums(self, rows: FloatArray, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights and weighted sums of the entries before each block, and of all; (blocks + 1, B).

        `rows` (B, runs) and `columns` (B, workloads) say how often each was drawn.
        """
        across, down = _turned(rows, columns)
        weight, total = np.zeros((2, len(self.values) + 1, len(rows)))
        for i, entries in enumerate(self.values):
            drawn = across[self.row[i]] * down[self.column[i]]
            weight[i + 1] = weight[i] + drawn.sum(axis=0, dtype=drawn.dtype)
            total[i + 1] = total[i] + entries @ drawn
        return weight, total

    def lowest(
        self, m: int, rows: FloatArray, columns: FloatArray, weight: FloatArray, total: FloatArray
    ) -> FloatArray:
        """Sum of the lowest entries that together weigh `m`, of each resample (B,)."""
        draw = np.arange(len(rows))
        block = np.minimum((weight[1:] <= m).sum(axis=0), len(self.values) - 1)
        at = draw[:, None]
        inside = rows[at, self.row[block]] * columns[at, self.column[block]]
        left = m - weight[block, draw][:, None] - (inside.cumsum(axis=1) - inside)
        kept = np.clip(left, 0.0, inside)
        return np.asarray(total[block, draw] + (kept * self.values[block]).sum(axis=1))


def _turned(*counts: FloatArray) -> Iterator[IntArray]:
    """Counts (B, n) as (n, B): an entry's counts of all resamples lie side by side.

    In the shortest type that holds the sum of all weights, as that many fit into a register.
    """
    dtype = np.min_scalar_type(-prod(one.shape[1] for one in counts))
    return (np.ascontiguousarray(one.T, dtype) for one in counts)


def _ends(draws: FloatArray, level: float) -> FloatArray:
    """Lower and upper end of the percentile interval of draws (B, ...) -> (2, ...)."""
    tail = (1.0 - level) / 2.0
    return np.asarray(np.quantile(draws, [tail, 1.0 - tail], axis=0))


def _interval(value: float, draws: FloatArray, level: float) -> Estimate:
    low, high = _ends(draws, level)
    return Estimate(value, float(low), float(high))


def _band(values: FloatArray, draws: FloatArray, level: float) -> Band:
    return Band(np.asarray(values), *_ends(draws, level))


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
