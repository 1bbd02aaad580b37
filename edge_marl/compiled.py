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
    "observe_gateways",
    "observe_task",
    "play_rows",
    "show_waiting",
    "step",
    "step_at",
    "step_rows",
    "task_utility",
]

BODIES = (
    "task_utility",
    "note_soonest",
    "find_soonest",
    "start",
    "finish_on",
    "crash_cost",
    "crash",
    "dispatch",
    "show_next",
    "observe_server",
    "observe_task",
    "finish_due",
    "step",
    "prefetch",
    "step_rows",
    "send",
    "count_idle",
    "acting_order",
    "next_slot",
    "show_waiting",
    "play",
    "observe_gateways",
    "play_rows",
)
"""Every function of `kernel.py` and `game.py`, callees before callers."""


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
observe_task = _bodies["observe_task"]
step = _bodies["step"]
step_rows = _bodies["step_rows"]
show_waiting = _bodies["show_waiting"]
observe_gateways = _bodies["observe_gateways"]
play_rows = _bodies["play_rows"]


# One environment's step takes some 130 ns; handing Numba its ten arrays from Python takes 600 ns.
# So a single environment hands over the address of a table that says where they are.


def address_table(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """Return a row (address, shape, zeros) per array, in the order of `kernel.step`'s arguments.

    The caller keeps the table and the arrays, C-contiguous, for as long as it uses `step_at`.
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


@compiled
def step_at(address: int, penalty: float, e: int, action: int) -> float:
    """`kernel.step` on the arrays of the address table at `address`."""
    table = numba.carray(_pointer(address), (10, 5), np.int64)
    spec, episode, servers, services, tasks = table[0], table[1], table[2], table[3], table[4]
    rewards, running, ends, soonest, seen = table[5], table[6], table[7], table[8], table[9]
    reward: float = step(
        numba.carray(_pointer(spec[0]), (spec[1],), np.int64),
        penalty,
        numba.carray(_pointer(episode[0]), (episode[1], episode[2]), np.int64),
        numba.carray(_pointer(servers[0]), (servers[1], servers[2], servers[3]), np.int32),
        numba.carray(_pointer(services[0]), (services[1], services[2], services[3]), np.float64),
        numba.carray(_pointer(tasks[0]), (tasks[1], tasks[2], tasks[3]), np.int64),
        numba.carray(_pointer(rewards[0]), (rewards[1], rewards[2]), np.float64),
        numba.carray(
            _pointer(running[0]), (running[1], running[2], running[3], running[4]), np.int32
        ),
        numba.carray(_pointer(ends[0]), (ends[1], ends[2], ends[3]), np.int64),
        numba.carray(_pointer(soonest[0]), (soonest[1], soonest[2]), np.int64),
        numba.carray(_pointer(seen[0]), (seen[1], seen[2]), np.float32),
        e,
        action,
    )
    return reward
