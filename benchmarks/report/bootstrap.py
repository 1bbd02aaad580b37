"""Means and interquartile means with intervals by a stratified bootstrap."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import isqrt, prod

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BAND_RESAMPLES",
    "BLOCK",
    "ENTROPY",
    "LEVEL",
    "RESAMPLES",
    "Band",
    "Estimate",
    "FloatArray",
    "Statistic",
    "band_of",
    "check_matrix",
    "draw_counts",
    "drawn_iqms",
    "drawn_means",
    "interval_of",
    "iqm",
    "mean",
    "turned",
    "weighted_iqms",
]


FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

RESAMPLES = 4_000
"""Places the ends of an interval to some 1 % of its width."""

LEVEL = 0.95
ENTROPY = 20_26
"""Seed of the resampling: equal records give equal intervals, to the last bit."""

BAND_RESAMPLES = 2_000
"""Of comparisons of pairs and of bands: many figures, none of which is quoted to its last digit."""

_PART = 2_000  # resamples at a time: they stay in the cache
BLOCK = 16  # sorted entries at a time, at least


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


def check_matrix(values: FloatArray) -> None:
    """Raise ValueError unless values are finite, (runs, workloads), and there is one at least."""
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"values of shape {values.shape}: needs one row per run, one column per workload"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"values hold {values[~np.isfinite(values)][0]}: all must be finite")


@lru_cache(maxsize=64)
def draw_counts(n: int, resamples: int, entropy: int, *names: str) -> FloatArray:
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


def drawn_means(values: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """Means of resampled matrices: `rows` (B, runs), `columns` (B, workloads) -> (B,)."""
    return np.asarray(((rows @ values) * columns).sum(axis=1) / values.size)


def drawn_iqms(values: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
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


def weighted_iqms(values: FloatArray, weights: FloatArray) -> FloatArray:
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
        size = max(BLOCK, isqrt(values.size) // 2)
        order = np.argsort(values, axis=None)
        # Filled up with entries that come after all others, so that no sum takes them.
        place = np.append(order, np.repeat(order[-1], -len(order) % size)).reshape(-1, size)
        return cls(values.ravel()[place], *np.unravel_index(place, values.shape))

    def sums(self, rows: FloatArray, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weights and weighted sums of the entries before each block, and of all; (blocks + 1, B).

        `rows` (B, runs) and `columns` (B, workloads) say how often each was drawn.
        """
        across, down = turned(rows, columns)
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


def turned(*counts: FloatArray) -> Iterator[IntArray]:
    """Counts (B, n) as (n, B): an entry's counts of all resamples lie side by side.

    In the shortest type that holds the sum of all weights, as that many fit into a register.
    """
    dtype = np.min_scalar_type(-prod(one.shape[1] for one in counts))
    return (np.ascontiguousarray(one.T, dtype) for one in counts)


def _ends(draws: FloatArray, level: float) -> FloatArray:
    """Lower and upper end of the percentile interval of draws (B, ...) -> (2, ...)."""
    tail = (1.0 - level) / 2.0
    return np.asarray(np.quantile(draws, [tail, 1.0 - tail], axis=0))


def interval_of(value: float, draws: FloatArray, level: float) -> Estimate:
    """Return a value with the percentile interval of its draws (B,)."""
    low, high = _ends(draws, level)
    return Estimate(value, float(low), float(high))


def band_of(values: FloatArray, draws: FloatArray, level: float) -> Band:
    """Return values (points,) with the percentile intervals of their draws (B, points)."""
    return Band(np.asarray(values), *_ends(draws, level))
