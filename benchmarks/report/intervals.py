"""Means and interquartile means of runs and workloads that cross, with Student's t intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEVEL",
    "Band",
    "Estimate",
    "FloatArray",
    "Part",
    "Statistic",
    "band_of",
    "check_matrix",
    "estimate_of",
    "iqm",
    "mean",
    "one_of",
    "standard_error",
    "student",
    "winsorised",
]

FloatArray = NDArray[np.float64]

LEVEL = 0.95
"""Share of the cases in which an interval is to hold the truth."""


@dataclass(frozen=True)
class Estimate:
    """An aggregate with the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def arms(self) -> FloatArray:
        """Lengths of the interval below and above the value, (2, 1)."""
        return np.array([[self.value - self.low], [self.high - self.value]])

    def within(self, lowest: float, highest: float) -> Estimate:
        """Return it with an interval that goes no further than what can be."""
        return Estimate(self.value, max(self.low, lowest), min(self.high, highest))


@dataclass(frozen=True, eq=False)
class Band:
    """An aggregate at each point of a line, with the ends of its intervals; (points,) each."""

    values: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True, eq=False)
class Part:
    """What the episodes of one agent in one scenario add to a statistic.

    The statistic is, but for a constant and to first order, the sum over its parts of the means of
    their `values`.
    """

    values: FloatArray
    """(..., runs, workloads)."""
    runs: str = ""
    """Name of the sample of runs: parts of one name have the same runs, and others independent
    ones."""
    workloads: str = ""
    """Likewise of the workloads."""


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


def winsorised(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What each of (..., runs, workloads) adds to the interquartile mean, and which it keeps.

    What is cut counts as the last that is kept, and all count n / (n - 2 cut) times: the influence
    of an entry on a trimmed mean (Tukey and McLaughlin, Sankhya A 25, 1963).
    """
    flat = np.sort(values.reshape(*values.shape[:-2], -1), axis=-1)
    n = flat.shape[-1]
    cut = n // 4
    low, high = (flat[..., place, None, None] for place in (cut, n - cut - 1))
    share = n / (n - 2 * cut)
    return share * np.clip(values, low, high), share * ((low <= values) & (values <= high))


def check_matrix(values: FloatArray) -> None:
    """Raise ValueError unless values are finite, (runs, workloads), and there is one at least."""
    if values.ndim != 2 or values.size == 0:
        raise ValueError(
            f"values of shape {values.shape}: needs one row per run, one column per workload"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"values hold {values[~np.isfinite(values)][0]}: all must be finite")


def band_of(values: FloatArray, *parts: Part, lost: int = 0) -> Band:
    """Return a statistic at each point, (points,), with its intervals; see `margin`."""
    half = margin(parts, lost)
    return Band(values, values - half, values + half)


def estimate_of(value: float, *parts: Part) -> Estimate:
    """Return a single statistic with its interval."""
    return one_of(band_of(np.array([value]), *parts))


def one_of(found: Band) -> Estimate:
    """Return the estimate that a band of one point is."""
    return Estimate(*(float(ends[0]) for ends in (found.values, found.low, found.high)))


def margin(parts: Sequence[Part], lost: int = 0) -> FloatArray:
    """Return half the width of a statistic's interval, (...); see `_spread`."""
    variance, t = _spread(parts, lost)
    return t * np.sqrt(variance)


def standard_error(*parts: Part) -> float:
    """Return the standard error of a single statistic; see `_spread`."""
    return float(np.sqrt(_spread(parts, 0)[0]))


def _spread(parts: Sequence[Part], lost: int) -> tuple[FloatArray, FloatArray]:
    """Return the variance of a statistic, and how many standard errors its interval has; (...).

    The variance is that of crossed random effects: each sample, of runs or of workloads, brings
    the variance of its effects over their number. That holds the parts' noise (what is left of
    entries without the effects of their run and their workload) as well, which therefore counts
    once; a sample that varies no more than the noise adds nothing. A sample of one tells nothing of
    how it varies and adds nothing: the interval does not speak of it.

    Of samples of runs together, and of those of workloads, degrees of freedom are Satterthwaite's
    (Biometrics Bulletin 2(6), 1946). Of the two, so unequal in number, they would be too many
    whenever runs happen to agree; there Student's t is the mean of both, each by its share of the
    variance (Cochran and Cox, Experimental Designs, 1950).

    Args:
        parts: those of the statistic.
        lost: degrees of freedom that each sample has less than its number less one.
    """
    rests = [_noise(part.values) for part in parts]
    samples = [{("runs", part.runs), ("workloads", part.workloads)} for part in parts]
    total = np.sum(rests, axis=0)
    # By source, the sum of variances, and that of their squares over their degrees of freedom.
    sums = {source: np.zeros((2, *total.shape)) for source in ("runs", "workloads", "rest")}
    alone = [np.ones(total.shape, bool) for _ in parts]
    for sample in sorted(set().union(*samples)):
        own = [i for i, names in enumerate(samples) if sample in names]
        noise = np.sum([rests[i] for i in own], axis=0)
        axis = -1 if sample[0] == "runs" else -2
        effects = np.sum([parts[i].values.mean(axis=axis) for i in own], axis=0)
        n = effects.shape[-1]
        variance = effects.var(axis=-1, ddof=1) / n if n > 1 else np.zeros_like(total)
        varies = variance > noise
        total += np.where(varies, variance - noise, 0.0)
        sums[sample[0]] += np.where(varies, [variance, variance**2 / max(n - 1 - lost, 1)], 0.0)
        for i in own:
            alone[i] &= ~varies
    for part, rest, still in zip(parts, rests, alone, strict=True):
        sums["rest"] += np.where(still, [rest, rest**2 / max(_degrees(part.values), 1)], 0.0)
    share, spread = np.stack(list(sums.values()), axis=1)
    degrees = np.maximum(share**2 / np.where(spread > 0.0, spread, 1.0), 1.0)
    weights = share / np.where(total > 0.0, share.sum(axis=0), 1.0)
    return np.asarray(total), np.asarray((weights * student(degrees)).sum(axis=0))


def _degrees(values: FloatArray) -> int:
    """Degrees of freedom of the noise of (..., runs, workloads)."""
    return math.prod(n - 1 for n in values.shape[-2:])


def _noise(values: FloatArray) -> FloatArray:
    """Variance of the mean of (..., runs, workloads) by what no run and no workload explains."""
    rest = values - values.mean(axis=-1, keepdims=True)
    rest = rest - rest.mean(axis=-2, keepdims=True)
    degrees = max(_degrees(values), 1)  # of one run or one workload, there is no rest
    return np.asarray((rest**2).sum(axis=(-2, -1)) / degrees / math.prod(values.shape[-2:]))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


def student(degrees: FloatArray) -> FloatArray:
    """Return how many standard errors hold `LEVEL` of Student's t, by degrees of freedom from 1 up.

    With t = sqrt(degrees) * tan(angle), the share within t is an integral of a power of the cosine
    over angles up to there: by Gauss, and solved by Newton from below, where the steps never
    overshoot. To 1e-9 of itself.
    """
    degrees = np.asarray(degrees, dtype=np.float64)
    power = degrees - 1.0
    half = np.vectorize(lambda d: math.lgamma((d + 1.0) / 2.0) - math.lgamma(d / 2.0))(degrees)
    scale = 2.0 / math.sqrt(math.pi) * np.exp(half)
    angle = np.zeros_like(degrees)
    for _ in range(12):
        inner = angle[..., None] * (_NODES + 1.0) / 2.0
        # No matrix product: its last bit depends on how many angles there are.
        inside = (np.cos(inner) ** power[..., None] * _WEIGHTS).sum(axis=-1) * angle / 2.0
        angle = angle + (LEVEL / scale - inside) / np.cos(angle) ** power
    return np.asarray(np.sqrt(degrees) * np.tan(angle))
