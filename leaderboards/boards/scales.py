"""Axes of the site's figures: scales, round ticks, and the part that the bulk of values takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_marl.benchmarks.report.intervals import Estimate

__all__ = ["Scale", "bulk", "scale_of"]

MARGIN = 0.06
"""Room beyond the outermost value, as a share of the distance of the outermost two."""
FENCE = 1.5
"""Quartile ranges from the quartiles on, from where a value is beyond the bulk (Tukey)."""
LEAST = 0.01
"""Of the distance of the outermost two: as far a value may be in any case, where many are equal."""
FEWEST = 5
"""Values of which some may be beyond the bulk; of fewer, all are the bulk."""


@dataclass(frozen=True)
class Scale:
    """A linear axis from values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the place of a value, to a tenth of a pixel; at an end if it is beyond."""
        share = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return round(self.start + share * (self.end - self.start), 1)

    def beyond(self, value: float) -> int:
        """Return on which side a value is beyond the axis, -1 or 1; 0 if it is on it."""
        return (value > self.high) - (value < self.low)

    def ticks(self, most: int) -> list[float]:
        """Return round values between the ends, at most so many."""
        rough = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(k * step, 10) for k in range(first, last + 1)]


def scale_of(values: Sequence[float], start: float, end: float) -> Scale:
    """Return an axis on which values have some room around them."""
    low, high = min(values), max(values)
    margin = MARGIN * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(low - margin, high + margin, start, end)


def bulk(estimates: Sequence[Estimate]) -> list[float]:
    """Return the values that an axis is for, with their intervals as far as these are near.

    A value far from the middle half of them is none: an axis for it would press all others
    together. An interval is cut where it reaches further than half of what the values take up.
    """
    values = np.array([found.value for found in estimates])
    kept = np.ones(len(values), dtype=bool)
    if len(values) >= FEWEST:
        first, third = np.quantile(values, (0.25, 0.75))
        room = max(FENCE * (third - first), LEAST * float(np.ptp(values)))
        kept = (values >= first - room) & (values <= third + room)
    low, high = float(values[kept].min()), float(values[kept].max())
    room = 0.5 * (high - low) or math.inf
    cut = [e.within(low - room, high + room) for e, k in zip(estimates, kept, strict=True) if k]
    return [x for e in cut for x in (e.low, e.high)]
