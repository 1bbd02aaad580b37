"""Axes of the site's figures: scales and round ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Scale", "scale_of"]

MARGIN = 0.06
"""Room beyond the outermost value, as a share of the distance of the outermost two."""


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
