"""glibc's `mallopt`: memory that a training frees stays with its process."""

from __future__ import annotations

import ctypes
from contextlib import suppress

__all__ = ["keep_freed_memory"]

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt(3)."""
LARGEST_MMAP_THRESHOLD = 32 * 2**20
"""Bytes; glibc takes no more."""
KEPT = 2**30
"""Bytes of freed memory at the end of the heap that stay with the process."""


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next array; other C libraries are left as they are.

    As it comes, each gradient step's arrays of a few megabytes go back to the system and are asked
    for again, page by page: a seventh of `adsac`'s time.
    """
    with suppress(AttributeError, OSError, TypeError):  # no mallopt, or no such handle
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGEST_MMAP_THRESHOLD)
        mallopt(M_TRIM_THRESHOLD, KEPT)
