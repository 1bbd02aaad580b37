"""Numba's compiler: programs, kept on disk where a folder can hold them, and parts of programs.

Numba makes machine code of every function and optimises it with all that it calls, and so again
all that its callers' callers call: with functions that call functions, most of a minute. A part is
only translated, once, and optimised as a piece of each program that calls it.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from edge_marl.translation import translate

__all__ = ["c_function", "jit", "part", "program"]

HERE = Path(__file__).parent
PATIENCE_S = 2.0
"""Time that compiling takes before it is told."""

CALLED = ("kernel/*.py", "workload/*.py", "memory.py", "jit.py", "translation.py")
"""Sources of what compiled code of any folder may call, and of how it is compiled."""


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
    with _saying():
        try:
            return numba.cfunc(signature, cache=True, **options)(body)
        except RuntimeError:
            _warn_once()
            return numba.cfunc(signature, **options)(body)


def part(body: Callable[..., Any], inline: bool = True) -> Any:
    """Return a function for compiled code to call, which becomes a piece of it.

    It takes all signed whole numbers as int64, so that there is one of it for all of them; it
    divides as the numbers of NumPy do (`compiled.compiled`), and is not kept on disk.

    Args:
        body: the function; its arguments are given by position.
        inline: whether it is written out wherever it is called; LLVM decides if not.
    """
    if numba.config.DISABLE_JIT:
        return body

    @cache
    def translated(kinds: tuple[Any, ...]) -> Any:
        return translate(body, kinds, inline)

    def typed(typing_context: Any, *arguments: Any) -> Any:
        result = translated(tuple(map(_kind, arguments)))

        def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            context.active_code_library.add_linking_library(result.library)
            return context.call_internal(builder, result.fndesc, signature, values)

        return result.signature, build

    own = inspect.signature(body)
    first = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own = own.replace(parameters=[first, *own.parameters.values()])
    typed.__signature__ = own  # type: ignore[attr-defined]  # Numba reads it
    typed.__name__ = body.__name__
    found = intrinsic(typed)
    found.body = body
    return found


def program(a_part: Any) -> Any:
    """Return a part as a program by itself, for Python to call; it is kept on disk (`jit`)."""
    return a_part if numba.config.DISABLE_JIT else jit(a_part.body, error_model="numpy")


def _kind(argument: Any) -> Any:
    whole = isinstance(argument, types.Integer) and argument.signed
    return types.int64 if whole else types.unliteral(argument)


def _sign(body: Callable[..., Any]) -> None:
    """Have a function's name say what the sources are like that it may call.

    Numba's cache of a function is made anew when its own file changes, and knows nothing of the
    functions that it calls: those of its folder, and of those that all others may call.
    """
    folder = Path(body.__code__.co_filename).parent
    body.__qualname__ = f"{body.__qualname__}_{_digest(folder)}"


@cache
def _digest(folder: Path) -> str:
    """Return a digest of the sources in a folder and of those that all compiled code may call."""
    called = {path for pattern in CALLED for path in HERE.glob(pattern)}
    sources = sorted(called | set(folder.glob("*.py")))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]


@contextmanager
def _saying() -> Iterator[None]:
    """Say what is going on, to a person at a terminal who has waited for a while."""
    timer = threading.Timer(PATIENCE_S, _say_once)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def _say_once() -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("edge-marl: compiling the simulator, once on this machine ...\n")


@cache
def _warn_once() -> None:
    warnings.warn(
        "Numba finds no folder to keep compiled code in, so every process compiles it anew, which "
        "takes some ten seconds: set the environment variable NUMBA_CACHE_DIR to a folder that can "
        "be written to",
        RuntimeWarning,
        stacklevel=2,
    )
