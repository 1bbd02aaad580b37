"""Words of memory that threads of compiled code share.

Numba has no atomic operations for processors; LLVM does. Addresses are of int64 words.
"""

from __future__ import annotations

import platform
import sys
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic

__all__ = ["add", "give_way", "read", "relax", "write"]

WORD = ir.IntType(64)
ORDER, ALIGNED = "seq_cst", 8


@intrinsic
def add(typing_context: Any, address: Any, value: Any) -> Any:
    """Add to a word, and return what it was."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.inttoptr(values[0], ir.PointerType(WORD))
        return builder.atomic_rmw("add", place, values[1], ORDER)

    return types.int64(types.int64, types.int64), build


@intrinsic
def read(typing_context: Any, address: Any) -> Any:
    """Return a word."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.inttoptr(values[0], ir.PointerType(WORD))
        return builder.load_atomic(place, ORDER, ALIGNED)

    return types.int64(types.int64), build


@intrinsic
def write(typing_context: Any, address: Any, value: Any) -> Any:
    """Set a word."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = builder.inttoptr(values[0], ir.PointerType(WORD))
        builder.store_atomic(values[1], place, ORDER, ALIGNED)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), build


@intrinsic
def relax(typing_context: Any) -> Any:
    """Tell the processor that this is a loop that waits."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        machine, hint = platform.machine(), ir.IntType(32)
        if machine in ("x86_64", "AMD64"):
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        elif machine in ("aarch64", "arm64"):
            kind = ir.FunctionType(ir.VoidType(), [hint])
            wait = get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
            builder.call(wait, [ir.Constant(hint, 1)])  # yield
        return context.get_dummy_value()

    return types.void(), build


@intrinsic
def give_way(typing_context: Any) -> Any:
    """Let another thread have the processor (sched_yield)."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        if sys.platform != "win32":
            kind = ir.FunctionType(ir.IntType(32), [])
            builder.call(get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), build
