"""The same code with the compiler and without (`NUMBA_DISABLE_JIT=1`), a process each."""

from __future__ import annotations

import os
import subprocess
import sys

__all__ = ["printed"]


def printed(code: str, *options: str) -> set[str]:
    """Return what code prints with and without the compiler: one text if that is the same.

    Args:
        code: of Python.
        options: of the interpreter.
    """
    return {
        subprocess.run(
            [sys.executable, *options, "-c", code],
            env=os.environ | {"NUMBA_DISABLE_JIT": disabled},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for disabled in ("0", "1")
    }
