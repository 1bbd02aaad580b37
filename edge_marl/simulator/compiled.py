"""The kernel's bodies, compiled by Numba."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType, ModuleType
from typing import Any

import numba
from llvmlite import ir
from numba.core import types
from numba.core.cgutils import get_or_insert_function, unpack_tuple
from numba.extending import intrinsic

from edge_marl.jit import jit, part
from edge_marl.kernel import (
    agenda,
    ahead,
    batch,
    clock,
    decision,
    game,
    loading,
    losses,
    network,
    servers,
    terms,
    turns,
    value,
    world,
)
from edge_marl.kernel import (
    observe as sight,
)
from edge_marl.memory import call
from edge_marl.simulator.atomics import read
from edge_marl.simulator.world_type import MODELS, WORLDS_AT, address_table, place_of, world_at

__all__ = [
    "BEGIN_TURNS_AT",
    "STEPS_AT",
    "TURNS_AT",
    "address_table",
    "compile_bodies",
    "compiled",
    "load_draft",
    "observe",
    "of_model",
    "open_game_row",
    "open_row",
    "play_rows",
    "step_rows",
    "task_utility",
]

MODULES = (
    *(world, value, network, terms, agenda, servers, sight, losses, decision),
    *(clock, game, turns, loading, ahead, batch),
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
        columns, index_type = signature.args
        indices = [
            context.cast(builder, value, kind, types.int64)
            for value, kind in zip(unpack_tuple(builder, values[1]), index_type, strict=True)
        ]
        address = place_of(context, builder, columns, values[0], indices)
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
    """Compile a function that calls bodies of the kernel.

    `nogil`, so that threads step different rows at the same time. `error_model="numpy"` leaves out
    the checks for division by zero, which cannot happen: capacities, run times and scales are
    positive by the checks of Scenario, Topology and Workload.
    """
    return jit(body, nogil=True, error_model="numpy", forceinline=True)


def compile_bodies(decorate: Callable[[FunctionType], Any]) -> dict[str, Any]:
    """Return the bodies' namespace with every one decorated, and calling decorated ones.

    Args:
        decorate: a compiler, such as `part`.
    """
    namespace = {name: value for module in MODULES for name, value in vars(module).items()}
    for name, body in BODIES.items():
        if name not in OWN:
            namespace[name] = decorate(FunctionType(body.__code__, namespace, name))
        elif not numba.config.DISABLE_JIT:
            namespace[name] = OWN[name]
    return namespace


SELDOM = (
    "crash_cost",
    "fail_server",
    "lose_all",
    "make_room",
    "observe_gateway",
    "report",
    "settle",
)
"""Bodies that steps call from several places, or seldom: written out there, they took half of the
time that compilation takes, and made no step faster."""

_bodies = compile_bodies(lambda body: part(body, inline=body.__name__ not in SELDOM))

task_utility = _bodies["task_utility"]
load_draft = _bodies["load_draft"]
observe = _bodies["observe"]
open_game_row = _bodies["open_game_row"]
open_row = _bodies["open_row"]
play_rows = _bodies["play_rows"]
begin_turns = _bodies["begin_turns"]
step = _bodies["step"]
step_rows = _bodies["step_rows"]
take_turns = _bodies["take_turns"]

# One environment's step takes some 130 ns; handing Numba one array from Python takes 60 ns. So what
# Python calls is handed the address of a table that says where the arrays are (`world_type.py`).


def of_model(body: Any, model: str, **others: Any) -> Any:
    """Return a function whose `world_at` knows the model (`Scenario.model`).

    Numba keeps those of a function apart by their names.

    Args:
        body: the function.
        model: which it is.
        others: that it finds in place of what its module has by these names.
    """
    own = {"world_at": WORLDS_AT[model], **others}
    found = FunctionType(body.__code__, body.__globals__ | own, body.__name__)
    found.__qualname__ = f"{body.__qualname__}_{model}"
    return found


def _step_at(address: int, e: int, action: int) -> float:
    """`batch.step` on the arrays of an address table."""
    reward: float = step(world_at(address), e, action)
    return reward


def _begin_turns_at(address: int, e: int, turns: Any, chosen: Any) -> None:
    """`turns.begin_turns` on the arrays of an address table."""
    begin_turns(world_at(address), e, turns, chosen)


def _turns_at(
    address: int,
    choices: Any,
    turns: Any,
    chosen: Any,
    ended: Any,
    told: Any,
    kept: Any,
    own_rewards: Any,
) -> None:
    """`turns.take_turns` on the arrays of an address table."""
    take_turns(world_at(address), choices, turns, chosen, ended, told, kept, own_rewards)


BEGIN_TURNS_AT = {model: compiled(of_model(_begin_turns_at, model)) for model in MODELS}
"""The beginning of turns in a row, by model."""

TURNS_AT = {model: compiled(of_model(_turns_at, model)) for model in MODELS}
"""A turn in every row, by model."""

STEPS_AT = {model: compiled(of_model(_step_at, model)) for model in MODELS}
"""The step of a row, by model."""
