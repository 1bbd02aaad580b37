"""The kernel's bodies, compiled by Numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_item_pointer, get_or_insert_function, unpack_tuple
from numba.extending import intrinsic

from edge_marl.jit import c_function, jit
from edge_marl.kernel import (
    agenda,
    batch,
    clock,
    decision,
    game,
    losses,
    network,
    opening,
    servers,
    steps,
    value,
    world,
)
from edge_marl.kernel import (
    observe as sight,
)
from edge_marl.kernel.batch import Outputs
from edge_marl.kernel.world import ARRAYS, NUM_TASK_FIELDS, World
from edge_marl.simulator.atomics import call, read

__all__ = [
    "ACTIONS",
    "ENDED",
    "HANDED",
    "JOB_WORDS",
    "LAST_MASKS",
    "LAST_SEEN",
    "LEFT",
    "MASKS",
    "REWARDS",
    "SEEN",
    "SOURCE",
    "TABLE",
    "WHEN",
    "address_of_rows",
    "address_table",
    "compile_bodies",
    "compiled",
    "go_to_first_at",
    "observe_gateways",
    "open_episode_at",
    "open_game",
    "step_at",
    "task_utility",
]

MODULES = (
    *(world, value, network, servers, agenda, sight, losses, decision, clock, steps, opening),
    *(game, batch),
)
"""All modules of the kernel."""


def _bodies_of(modules: Sequence[ModuleType]) -> dict[str, FunctionType]:
    """Return every function that the modules define, by name."""
    bodies: dict[str, FunctionType] = {}
    for module in modules:
        for name, body in vars(module).items():
            if isinstance(body, FunctionType) and body.__module__ == module.__name__:
                if name in bodies:
                    raise ImportError(f"the kernel has two functions '{name}': rename one")
                bodies[name] = body
    return bodies


BODIES = _bodies_of(MODULES[1:])
"""Every function of the kernel, plain, by name; nothing of `world` is for compiled code."""


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


@numba.njit(forceinline=True)
def not_begun(out: Any, e: int) -> bool:
    """Begin the next episode of a row by the function that the source begins with.

    By its address, so that drawing and opening episodes is not compiled again into every step.
    """
    if out.source == 0:
        return True
    return bool(call(read(out.source), out.table, e, out.source, out.thread))


OWN = {"fetch_line": fetch_line, "not_begun": not_begun}
"""What plain Python cannot say."""


def compiled(body: Any) -> Any:
    """Compile a function that is, or calls, a body of the kernel.

    `nogil`, so that threads step different rows at the same time. `error_model="numpy"` leaves out
    the checks for division by zero, which cannot happen: capacities, run times and scales are
    positive by the checks of Scenario, Topology and Workload.
    """
    return jit(body, nogil=True, error_model="numpy", forceinline=True)


def compile_bodies(decorate: Callable[[FunctionType], Any]) -> dict[str, Any]:
    """Return the bodies' namespace with every one decorated, and calling decorated ones.

    Args:
        decorate: a compiler, such as `compiled`.
    """
    namespace = {name: value for module in MODULES for name, value in vars(module).items()}
    for name, body in BODIES.items():
        if name not in OWN:
            namespace[name] = decorate(FunctionType(body.__code__, namespace, name))
        elif not numba.config.DISABLE_JIT:
            namespace[name] = OWN[name]
    return namespace


_bodies = compile_bodies(compiled)

task_utility = _bodies["task_utility"]
observe_gateways = _bodies["observe_gateways"]
go_to_first = _bodies["go_to_first"]
open_episode = _bodies["open_episode"]
open_game = _bodies["open_game"]
play_rows = _bodies["play_rows"]
step = _bodies["step"]
step_rows = _bodies["step_rows"]


# One environment's step takes some 130 ns; handing Numba one array from Python takes 60 ns, and an
# array that Python owns is counted at every use. So steps are handed the address of a table that
# says where the arrays are.


TABLE_SHAPE = (len(ARRAYS), 1 + max(len(array.axes) for array in ARRAYS.values()))


def address_table(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return a row (address, shape, zeros) per array, in the order of `World`.

    The caller keeps the table and the arrays, C-contiguous, for as long as it uses the address.
    """
    table = np.zeros(TABLE_SHAPE, dtype=np.int64)
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


@cache
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


def _make_reader() -> Any:
    """Return a function that gives the `World` of an address table.

    It is written out, one argument per array: compiled code cannot go over functions in a loop.
    """
    views = {f"view_{name}": _view(array.dtype, len(array.axes)) for name, array in ARRAYS.items()}
    arguments = ", ".join(f"view_{name}(table, {row})" for row, name in enumerate(ARRAYS))
    scope = {"World": World, **views}
    exec(f"def read(table): return World({arguments})", scope)
    return numba.njit(scope["read"], forceinline=True)


_read = _make_reader()


@numba.njit(forceinline=True)
def _world_at(address: int) -> Any:
    """`World` of the arrays of the address table at `address`."""
    return _read(numba.carray(_pointer(address), TABLE_SHAPE, np.int64))


@compiled
def step_at(address: int, e: int, action: int) -> float:
    """`steps.step` on the arrays of an address table."""
    reward: float = step(_world_at(address), e, action)
    return reward


@compiled
def open_episode_at(address: int, e: int, tasks: int, count: int) -> None:
    """`opening.open_episode` on the arrays of an address table, and tasks at an address."""
    shape = (count, NUM_TASK_FIELDS)
    open_episode(_world_at(address), e, numba.carray(_pointer(tasks), shape, np.int64))


@compiled
def go_to_first_at(address: int, e: int) -> None:
    """`opening.go_to_first` on the arrays of an address table."""
    go_to_first(_world_at(address), e)


# Steps of many rows are handed the address of a job: words that say where everything is.
(TABLE, ACTIONS, REWARDS, SEEN, MASKS, HANDED, LAST_SEEN, LAST_MASKS, ENDED, LEFT, WHEN, SOURCE) = (
    range(12)
)
JOB_WORDS = 12
"""Addresses, but for HANDED: rows of SEEN and MASKS, 0 if nobody wants them; and for WHEN."""


@numba.njit(forceinline=True)
def _outputs(words: Any, rows: int, seen: Any, masks: Any, thread: int) -> Any:
    """`Outputs` of a job, of arrays with the shapes of what the world's rows see."""
    kept = seen[0] if words[LAST_SEEN] != 0 else 0
    return Outputs(
        numba.carray(_pointer(words[SEEN]), (words[HANDED], seen[1]), np.float32),
        numba.carray(_pointer(words[MASKS]), (words[HANDED], masks[1]), np.int8),
        numba.carray(_pointer(words[LAST_SEEN]), (kept, seen[1]), np.float32),
        numba.carray(_pointer(words[LAST_MASKS]), (kept, masks[1]), np.int8),
        numba.carray(_pointer(words[ENDED]), (rows,), np.int8),
        numba.carray(_pointer(words[LEFT]), (rows,), np.bool_),
        words[WHEN],
        words[SOURCE],
        words[TABLE],
        thread,
    )


def _step_rows(job: int, first: int, stop: int, thread: int) -> int:
    """`batch.step_rows` on what a job says."""
    words = numba.carray(_pointer(job), (JOB_WORDS,), np.int64)
    w = _world_at(words[TABLE])
    shape = (len(w.episode),)
    step_rows(
        w,
        first,
        stop,
        numba.carray(_pointer(words[ACTIONS]), shape, np.int64),
        numba.carray(_pointer(words[REWARDS]), shape, np.float64),
        _outputs(words, len(w.episode), w.observations.shape, w.feasible.shape, thread),
    )
    return 0


def _play_rows(job: int, first: int, stop: int, thread: int) -> int:
    """`batch.play_rows` on what a job says."""
    words = numba.carray(_pointer(job), (JOB_WORDS,), np.int64)
    w = _world_at(words[TABLE])
    shape = (len(w.episode), w.gateways.shape[1])
    play_rows(
        w,
        first,
        stop,
        numba.carray(_pointer(words[ACTIONS]), shape, np.int64),
        numba.carray(_pointer(words[REWARDS]), shape, np.float64),
        _outputs(words, len(w.episode), w.seen.shape, w.masks.shape, thread),
    )
    return 0


@cache
def address_of_rows(game: bool) -> int:
    """Return the address of a C function (job, first row, stop, thread), all int64, returning one.

    It takes a step in a range of rows, of the game of gateways or of single environments.
    """
    body = _play_rows if game else _step_rows
    signature = types.int64(*[types.int64] * 4)
    address: int = c_function(body, signature, error_model="numpy").address
    return address
