"""Numba's compiler with its cache on disk, or without where no folder can hold one."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba

__all__ = ["c_function", "jit"]

KERNEL = Path(__file__).with_name("kernel")


def jit(body: Callable[..., Any], **options: Any) -> Any:
    """Compile a function at its first call, and keep the machine code for later processes.

    Numba keeps it in `NUMBA_CACHE_DIR`, beside the source, or in the user's cache folder: in the
    first of them that can be written to. Where none can (a read-only install, a container's user
    without a home) every process compiles anew, and a warning says so once.

    Args:
        body: the function.
        options: of `numba.njit`.
    """
    _sign(body)
    try:
        return numba.njit(cache=True, **options)(body)
    except RuntimeError:  # "cannot cache function ...: no locator available"
        _warn_once()
        return numba.njit(**options)(body)


def c_function(body: Callable[..., Any], signature: Any, **options: Any) -> Any:
    """Compile a function now, for compiled code that calls it by its `address` (see `jit`)."""
    _sign(body)
    try:
        return numba.cfunc(signature, cache=True, **options)(body)
    except RuntimeError:
        _warn_once()
        return numba.cfunc(signature, **options)(body)


def _sign(body: Callable[..., Any]) -> None:
    """Have a function's name say what the sources are like that it may call.

    Numba's cache of a function is made anew when its own file changes, and knows nothing of the
    functions that it calls: those of its folder, and of the kernel.
    """
    folder = Path(body.__code__.co_filename).parent
    body.__qualname__ = f"{body.__qualname__}_{_digest(folder)}"


@cache
def _digest(folder: Path) -> str:
    """Return a digest of the sources in a folder and of the kernel's."""
    sources = sorted({*folder.glob("*.py"), *KERNEL.glob("*.py")})
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


@cache
def _warn_once() -> None:
    warnings.warn(
        "Numba finds no folder to keep compiled code in, so every process compiles it anew, which "
        "takes up to a minute: set the environment variable NUMBA_CACHE_DIR to a folder that can "
        "be written to",
        RuntimeWarning,
        stacklevel=2,
    )
