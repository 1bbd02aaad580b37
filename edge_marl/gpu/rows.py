"""Rows of the simulator's arrays on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import cuda

from edge_marl.gpu.programs import Parts, Restarts, launch, programs
from edge_marl.kernel.world import ARRAYS, TOPOLOGY, World

__all__ = ["DeviceRows", "restart", "sent"]

WORD = 8
"""Bytes of what is copied at once, in arrays whose rows are whole words."""

ALWAYS = ("observations", "feasible")
"""Arrays that go byte by byte even so: compiled code knows no empty tuple."""

COPY_THREADS = 32
MOST_BLOCKS = 4096
"""Rows that are written over at the same time."""


class DeviceRows:
    """The arrays of so many rows on the device: `world`, and as `parts` that share its memory.

    Nothing is in them before they are written over, but for what is the same for all rows.

    Args:
        like: arrays on the host whose rows are as long, in whose row 0 an episode was started.
        count: number of rows.
        extended: whether it is the extended model, in which each row has servers of its own.
    """

    def __init__(self, like: World, count: int, extended: bool) -> None:
        self._count, self._extended = count, extended
        arrays = {name: cuda.to_device(array) for name, array in self._shared(like).items()}
        for name in names_of_rows(extended):
            array = getattr(like, name)
            arrays[name] = cuda.device_array((count, *array.shape[1:]), array.dtype)
        self._hold(World(**arrays))

    def _shared(self, like: World) -> dict[str, npt.NDArray[Any]]:
        """Return the host's arrays that all rows share, and those that have no rows."""
        own = names_of_rows(self._extended)
        arrays = {name: array for name, array in like._asdict().items() if name not in own}
        if not self._extended:
            topology = like.episode[0, TOPOLOGY]
            arrays["services"] = like.services[topology : topology + 1]
        return arrays

    def _hold(self, world: World) -> None:
        self.world = world
        self.parts = parts_of(
            {name: getattr(world, name) for name in names_of_rows(self._extended)}
        )

    @property
    def num_bytes(self) -> int:
        """Memory of all rows, without what they share."""
        return sum(array.nbytes for part in self.parts for array in part)

    def fit(self, like: World) -> None:
        """Make the rows as long as those of arrays on the host, where they are shorter."""
        grown = {}
        for name in names_of_rows(self._extended):
            old, length = getattr(self.world, name), getattr(like, name).shape[1:]
            if old.shape[1:] != length:
                grown[name] = cuda.device_array((self._count, *length), old.dtype)
                grown[name][tuple(slice(n) for n in old.shape)] = old
        if grown:
            self._hold(self.world._replace(**grown))

    def overwrite(self, come: Parts, restarts: Restarts, turn: int = 0) -> None:
        """Write rows over some of these, as a list on the device says."""
        blocks = min(self._count, MOST_BLOCKS)
        arguments = (self.parts, come, self.world.episode, self._extended, restarts, turn)
        launch(programs().copy, blocks, COPY_THREADS, *arguments)


def names_of_rows(extended: bool) -> list[str]:
    """Return the names of the arrays that have a row for each environment."""
    axes = ("E", "X", "T") if extended else ("E",)
    return [name for name, array in ARRAYS.items() if array.axes[0] in axes]


def parts_of(arrays: Mapping[str, Any]) -> Parts:
    """Return device arrays of rows as parts: the same memory."""
    used = {name: array for name, array in arrays.items() if array.size}
    rests = {
        name
        for name, array in used.items()
        if name in ALWAYS or array.nbytes // len(array) % WORD != 0
    }
    return Parts(
        words=tuple(_flat(array, np.int64) for name, array in used.items() if name not in rests),
        rests=tuple(_flat(array, np.int8) for name, array in used.items() if name in rests),
    )


def _flat(array: Any, dtype: Any) -> Any:
    rows = array.shape[0]
    return array.reshape(rows, array.size // rows).view(dtype)


def sent(world: World, count: int, extended: bool) -> Parts:
    """Return the first rows of arrays on the host, copied to the device."""
    names = names_of_rows(extended)
    return parts_of({name: cuda.to_device(getattr(world, name)[:count]) for name in names})


def restart(rows: npt.NDArray[np.int64], sources: npt.NDArray[np.int64]) -> Restarts:
    """Return a list that says to write over some rows, for turn 0."""
    counts = np.array([len(rows), 0])
    return Restarts(cuda.to_device(rows), cuda.to_device(sources), cuda.to_device(counts))
