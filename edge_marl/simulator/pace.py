"""Whether threads make a step faster: found by trying, now and then."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter_ns

__all__ = ["Pace"]

TRIALS = 8
"""Steps of each kind that are timed, in turn."""

PERIOD = 2_000
"""Steps from one trial to the next."""

GAIN = 0.95
"""Share of the time alone that a step together must stay below."""

TOO_SLOW = 3.0
"""A step together that takes so many times as long ends the trial: no machine to share on."""


class Pace:
    """Chooses between two ways to do the same, by their measured times."""

    def __init__(self) -> None:
        self.together = False
        """What the last trial found to be faster."""
        self._step = 0
        self._alone: list[int] = []
        self._shared: list[int] = []

    def run(self, alone: Callable[[], None], together: Callable[[], None]) -> None:
        """Do a step one way or the other."""
        step = self._step
        self._step = (step + 1) % PERIOD
        if step >= 2 * TRIALS:
            (together if self.together else alone)()
            return
        shared = step % 2 == 1
        start = perf_counter_ns()
        (together if shared else alone)()
        (self._shared if shared else self._alone).append(perf_counter_ns() - start)
        if shared and self._shared[-1] > TOO_SLOW * median(self._alone):
            self._step = 2 * TRIALS
        if self._step == 2 * TRIALS:
            enough = len(self._shared) == TRIALS
            self.together = enough and median(self._shared) < GAIN * median(self._alone)
            self._alone, self._shared = [], []
