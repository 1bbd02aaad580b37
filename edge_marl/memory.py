"""Arrays at addresses, and calls of what lies at one: how parts of compiled code meet.

Handing an array to Numba costs more than a short function takes, and a function that is called by
its address need not be compiled again wherever it is called.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["WORDS", "call", "grid", "pointer", "words_at"]

WORD = ir.IntType(64)

WORDS = types.int64(*[types.int64] * 4)
"""Type of all functions that are called by address: four words, and one that is returned."""


@intrinsic
def pointer(typing_context: Any, address: Any) -> Any:
    """Turn an address into a pointer."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.intp), build


@numba.njit(forceinline=True)
def words_at(address: int) -> Any:
    """Return the array of int64 words at an address, whose first word is its length."""
    size = numba.carray(pointer(address), (1,), np.int64)[0]
    return numba.carray(pointer(address), (size,), np.int64)


def _grid(words: Any, at: int, rows: int, columns: int) -> Any:
    """Return a part of an array of words as one with rows."""
    return numba.carray(pointer(words.ctypes.data + 8 * at), (rows, columns), np.int64)


def _grid_plainly(words: Any, at: int, rows: int, columns: int) -> Any:
    return words[at : at + rows * columns].reshape(rows, columns)


grid = _grid_plainly if numba.config.DISABLE_JIT else numba.njit(_grid, forceinline=True)


@intrinsic
def call(typing_context: Any, function: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Call the C function at an address with four words, and return the word that it does."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(WORD, [WORD] * 4)
        return builder.call(builder.inttoptr(values[0], ir.PointerType(kind)), values[1:])

    return types.int64(*[types.int64] * 5), build
