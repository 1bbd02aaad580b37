"""The kernel's bodies, compiled by Numba."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_item_pointer, get_or_insert_function, unpack_tuple
from numba.extending import intrinsic

from edge_marl import kernel

__all__ = ["compile_bodies", "observe_task", "step", "step_rows", "task_utility"]

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
    "step",
    "prefetch",
    "step_rows",
)
"""Every function of the kernel, callees before callers."""


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


def compile_bodies(decorate: Callable[[FunctionType], Any]) -> dict[str, Any]:
    """Return the kernel's namespace with every body decorated, and calling decorated ones.

    Args:
        decorate: a compiler, such as `numba.njit(cache=True)`.
    """
    namespace = {**vars(kernel), "fetch_line": fetch_line}
    for name in BODIES:
        namespace[name] = decorate(FunctionType(namespace[name].__code__, namespace, name))
    return namespace


# `nogil`, so that threads step different rows at the same time. `error_model="numpy"` leaves out
# the checks for division by zero, which cannot happen: capacities, run times and scales are
# positive by the checks of Scenario, Topology and Workload.
_bodies = compile_bodies(numba.njit(cache=True, nogil=True, error_model="numpy"))

task_utility = _bodies["task_utility"]
observe_task = _bodies["observe_task"]
step = _bodies["step"]
step_rows = _bodies["step_rows"]
