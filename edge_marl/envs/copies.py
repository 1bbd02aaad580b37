"""Copies of arrays that batches hand out, in memory that is not new each time.

Memory that is freed and taken again comes page by page from the system, which for a thousand rows
takes longer than all their decisions. So a copy that nobody holds any more is written over.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Copies"]

MOST = 4
"""Copies that are kept: of this step, of the last one, and what a learner may hold of each."""


class Copies:
    """Hands out copies of an array of one shape; each is the taker's own for as long as he likes.

    Whoever holds one, or a view of it, or a tensor on it, holds a reference: its count says whether
    the memory is free.
    """

    def __init__(self) -> None:
        self._kept: list[npt.NDArray[Any]] = []

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return a copy of an array."""
        copy = self.room(array.shape, array.dtype)
        np.copyto(copy, array)
        return copy

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """Return memory for a copy of an array, whatever it holds now."""
        for kept in self._kept:
            if sys.getrefcount(kept) <= ALONE and kept.shape == shape:
                return kept
        new = np.empty(shape, dtype)
        if len(self._kept) == MOST:
            del self._kept[0]
        self._kept.append(new)
        return new


def _count_alone() -> int:
    """Return what `getrefcount` says in `Copies.room` of an array that nobody else holds.

    It counts what this interpreter holds itself while it looks, which differs by its version.
    """
    counts = [sys.getrefcount(kept) for kept in [np.empty(0)]]
    return counts[0]


ALONE = _count_alone()
