"""The memory of a simulator's arrays.

Memory that NumPy gets uninitialised comes in huge pages where the system has them and it is 4 MiB
or more (`numpy.zeros` does not ask for them). A step of many environments touches a few lines of
every array: without huge pages half of its time went to address translation.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.kernel.world import ARRAYS, World

__all__ = ["empty_world", "longer"]

LINE = 64
"""Bytes of a cache line: every array begins with one."""


def empty_world(sizes: dict[str, int]) -> World:
    """Return all arrays with these sizes, zeros, one after the other in one piece of memory."""
    shapes = {name: array.shape(sizes) for name, array in ARRAYS.items()}
    lengths = {name: math.prod(shape) * ARRAYS[name].size for name, shape in shapes.items()}
    room = {name: -(-length // LINE) * LINE for name, length in lengths.items()}
    block = zeros((sum(room.values()) + LINE,), np.uint8)
    at = -block.ctypes.data % LINE
    arrays = {}
    for name, shape in shapes.items():
        arrays[name] = block[at : at + lengths[name]].view(ARRAYS[name].dtype).reshape(shape)
        at += room[name]
    return World(**arrays)


def longer(array: npt.NDArray[Any], axis: int, length: int) -> npt.NDArray[Any]:
    """Return the array with more room along an axis, filled with zeros."""
    shape = list(array.shape)
    shape[axis] = length
    longer = zeros(tuple(shape), array.dtype)
    longer[tuple(slice(n) for n in array.shape)] = array
    return longer


def zeros(shape: tuple[int, ...], dtype: Any) -> npt.NDArray[Any]:
    """Return an array of zeros, in huge pages where that is possible."""
    array = np.empty(shape, dtype=dtype)
    array.fill(0)
    return array
