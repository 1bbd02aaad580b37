"""Streams of random numbers, one for each row: what a row draws depends on no other row."""

from __future__ import annotations

import numpy as np

__all__ = ["RowStreams"]


class RowStreams:
    """Row i draws from the i-th stream of a seed, however many rows there are.

    Args:
        seed: of all streams.
    """

    def __init__(self, seed: int | np.random.SeedSequence) -> None:
        if not isinstance(seed, np.random.SeedSequence):
            seed = np.random.SeedSequence(seed)
        self._seeds = seed
        self._streams: list[np.random.Generator] = []

    def of(self, rows: int) -> list[np.random.Generator]:
        """Return the streams of the first rows, each where it was left."""
        if (missing := rows - len(self._streams)) > 0:
            new = map(np.random.PCG64, self._seeds.spawn(missing))
            self._streams += map(np.random.Generator, new)
        return self._streams[:rows]
