"""What both bounds share: the result, the unit of their certificates and its rounding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["FRACTION_BITS", "Bound", "round_up", "rounding_margin"]

FRACTION_BITS = 36
"""Certificates count in units of 2**-FRACTION_BITS of utility."""


@dataclass(frozen=True, eq=False)
class Bound:
    """An upper bound on the sum of rewards of any action sequence on one workload."""

    value: float
    """The bound, rounded up to six decimals."""
    prices: npt.NDArray[np.float64]
    """Price of a unit of capacity (a denoising step in progress) of each server, in utility
    (read-only). Base scenarios: (decisions, S), held from one decision to the next. Extended ones:
    (blocks, S), held for one ms of the block; the cloud's is 0."""
    evictions: int
    """Tasks that would best be thrown out by a crash at these prices; 0: crashing does not pay."""
    edges: npt.NDArray[np.int64] | None = None
    """(blocks + 1,) times in ms between which `prices` hold; None in base scenarios (read-only)."""


def rounding_margin(decisions: int, span: float) -> int:
    """Units by which the simulator's float64 sum of rewards can exceed the exact one.

    Recursive summation of n terms errs by at most n 2^-53 times the sum of their sizes. A decision
    adds at most four: what it earns, what it costs, what is taken back, its part of a crash's cost.
    Each is below `span`, so both the return and its parts are below 4 n span.
    """
    return int(decisions**2 * span * 2.0 ** (FRACTION_BITS - 49)) + 1


def round_up(units: int) -> float:
    """Units as a float: six decimals, rounded up, and one more in the last for the division."""
    return float(-(-units * 10**6 // 2**FRACTION_BITS) + 1) / 10**6
