"""Numba's compiler with its cache on disk, or without where no folder can hold one."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numba

__all__ = ["jit"]


def jit(body: Callable[..., Any], **options: Any) -> Any:
    """Compile a function at its first call, and keep the machine code for later processes.

    Numba keeps it in `NUMBA_CACHE_DIR`, beside the source, or in the user's cache folder: in the
    first of them that can be written to. Where none can (a read-only install, a container's user
    without a home) every process compiles anew, and a warning says so once.

    Args:
        body: the function.
        options: of `numba.njit`.
    """
    try:
        return numba.njit(cache=True, **options)(body)
    except RuntimeError:  # "cannot cache function ...: no locator available"
        _warn_once()
        return numba.njit(**options)(body)


@cache
def _warn_once() -> None:
    warnings.warn(
        "Numba finds no folder to keep compiled code in, so every process compiles it anew, which "
        "takes up to a minute: set the environment variable NUMBA_CACHE_DIR to a folder that can "
        "be written to",
        RuntimeWarning,
        stacklevel=2,
    )
