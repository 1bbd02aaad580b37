"""The kernel's bodies, compiled by Numba."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_item_pointer, get_or_insert_function, unpack_tuple
from numba.extending import intrinsic

from edge_marl import game, kernel

__all__ = [
    "address_table",
    "compile_bodies",
    "compiled",
    "live_on",
    "observe",
    "observe_gateways",
    "open_game",
    "play_rows_at",
    "step_at",
    "step_rows_at",
    "task_utility",
]

BODIES = tuple(
    name
    for module in (kernel, game)
    for name, value in vars(module).items()
    if isinstance(value, FunctionType) and value.__module__ == module.__name__
    if name != "fetch_line"
)
"""Every function of `kernel.py` and `game.py`."""


@intrinsic
def fetch_line(typing_context: Any, array: Any, index: Any) -> Any:
    """Ask the processor for the cache line at an index, for writing (LLVM's prefetch)."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        array_type, index_type = signature.args
        struct = context.make_array(array_type)(context, builder, values[0])
        indices = unpack_tuple(builder, values[1], len(index_type))
        wide = [
            context.cast(builder, value, kind, types.intp)
            for value, kind in zip(indices, index_type, strict=True)
        ]
        address = get_item_pointer(context, builder, array_type, struct, wide)
        byte = ir.PointerType(ir.IntType(8))
        number = ir.IntType(32)
        prefetch = get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        write, keep, data = (ir.Constant(number, n) for n in (1, 3, 1))
        builder.call(prefetch, [builder.bitcast(address, byte), write, keep, data])
        return context.get_dummy_value()

    return types.void(array, index), build


FINGERPRINT = hashlib.sha256(
    Path(kernel.__file__).read_bytes() + Path(game.__file__).read_bytes()
).hexdigest()[:12]
"""Of the bodies' source. Numba's on-disk cache of a function knows nothing of the functions that
it calls: without this in its name, code that calls the kernel would outlive a change of it."""


def compiled(body: Any) -> Any:
    """Compile a function that is, or calls, a body of the kernel.

    `nogil`, so that threads step different rows at the same time. `error_model="numpy"` leaves out
    the checks for division by zero, which cannot happen: capacities, run times and scales are
    positive by the checks of Scenario, Topology and Workload.
    """
    body.__qualname__ = f"{body.__name__}_{FINGERPRINT}"
    return numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(body)


def compile_bodies(decorate: Callable[[FunctionType], Any]) -> dict[str, Any]:
    """Return the bodies' namespace with every one decorated, and calling decorated ones.

    Args:
        decorate: a compiler, such as `compiled`.
    """
    namespace = {**vars(kernel), **vars(game)}
    if not numba.config.DISABLE_JIT:
        namespace["fetch_line"] = fetch_line
    for name in BODIES:
        namespace[name] = decorate(FunctionType(namespace[name].__code__, namespace, name))
    return namespace


_bodies = compile_bodies(compiled)

task_utility = _bodies["task_utility"]
live_on = _bodies["live_on"]
observe = _bodies["observe"]
observe_gateways = _bodies["observe_gateways"]
open_game = _bodies["open_game"]
play_rows = _bodies["play_rows"]
step = _bodies["step"]
step_rows = _bodies["step_rows"]


# One environment's step takes some 130 ns; handing Numba one array from Python takes 60 ns, and an
# array that Python owns is counted at every use. So steps are handed the address of a table that
# says where the arrays are.


def address_table(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return a row (address, shape, zeros) per array, in the order of `kernel.World`.

    The caller keeps the table and the arrays, C-contiguous, for as long as it uses the address.
    """
    table = np.zeros((len(arrays), 5), dtype=np.int64)
    for row, array in zip(table, arrays, strict=True):
        row[0] = array.ctypes.data
        row[1 : 1 + array.ndim] = array.shape
    return table


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    """Turn an address into a pointer."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.inttoptr(values[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.intp), build


def _view(dtype: Any, ndim: int) -> Any:
    """Return a function (table, row) that gives the array of a row of an address table."""

    def one(table: Any, row: Any) -> Any:
        return numba.carray(_pointer(table[row, 0]), (table[row, 1],), dtype)

    def two(table: Any, row: Any) -> Any:
        return numba.carray(_pointer(table[row, 0]), (table[row, 1], table[row, 2]), dtype)

    def three(table: Any, row: Any) -> Any:
        shape = (table[row, 1], table[row, 2], table[row, 3])
        return numba.carray(_pointer(table[row, 0]), shape, dtype)

    def four(table: Any, row: Any) -> Any:
        shape = (table[row, 1], table[row, 2], table[row, 3], table[row, 4])
        return numba.carray(_pointer(table[row, 0]), shape, dtype)

    return numba.njit((one, two, three, four)[ndim - 1], forceinline=True)


_floats_1 = _view(np.float64, 1)
_floats_2 = _view(np.float64, 2)
_floats_3 = _view(np.float64, 3)
_ints_1 = _view(np.int64, 1)
_ints_2 = _view(np.int64, 2)
_ints_3 = _view(np.int64, 3)
_ints_4 = _view(np.int64, 4)
_bytes_2 = _view(np.int8, 2)
_singles_2 = _view(np.float32, 2)
_shorts_3 = _view(np.int32, 3)
_shorts_4 = _view(np.int32, 4)


@numba.njit(forceinline=True)
def _world_at(address: int) -> Any:
    """`kernel.World` of the arrays of the address table at `address`."""
    t = numba.carray(_pointer(address), (29, 5), np.int64)
    return kernel.World(
        _ints_1(t, 0),  # spec
        _floats_1(t, 1),  # rates
        _ints_2(t, 2),  # episode
        _shorts_3(t, 3),  # servers
        _floats_3(t, 4),  # services
        _ints_3(t, 5),  # tasks
        _floats_2(t, 6),  # rewards
        _shorts_4(t, 7),  # running
        _ints_3(t, 8),  # ends
        _ints_2(t, 9),  # soonest
        _singles_2(t, 10),  # observations
        _ints_3(t, 11),  # details
        _floats_2(t, 12),  # values
        _ints_3(t, 13),  # sites
        _ints_4(t, 14),  # models
        _shorts_3(t, 15),  # offers
        _floats_2(t, 16),  # prices
        _ints_2(t, 17),  # memory
        _ints_4(t, 18),  # links
        _ints_3(t, 19),  # outages
        _ints_2(t, 20),  # agenda
        _floats_2(t, 21),  # owed
        _floats_2(t, 22),  # qualities
        _bytes_2(t, 23),  # feasible
        _ints_3(t, 24),  # gateways
        _ints_2(t, 25),  # followers
        _ints_2(t, 26),  # order
        _singles_2(t, 27),  # seen
        _bytes_2(t, 28),  # masks
    )


@compiled
def step_at(address: int, e: int, action: int) -> float:
    """`kernel.step` on the arrays of an address table."""
    reward: float = step(_world_at(address), e, action)
    return reward


@compiled
def step_rows_at(
    address: int,
    first: int,
    stop: int,
    actions: npt.NDArray[np.int64],
    step_rewards: npt.NDArray[np.float64],
) -> None:
    """`kernel.step_rows` on the arrays of an address table."""
    step_rows(_world_at(address), first, stop, actions, step_rewards)


@compiled
def play_rows_at(
    address: int,
    first: int,
    stop: int,
    choices: npt.NDArray[np.int64],
    own_rewards: npt.NDArray[np.float64],
) -> None:
    """`game.play_rows` on the arrays of an address table."""
    play_rows(_world_at(address), first, stop, choices, own_rewards)
