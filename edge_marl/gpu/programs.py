"""What runs on the device: a step in every row, and rows written over other rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import cuda
from numba.cuda.cudadrv import nvvm

from edge_marl.kernel.world import DONE, GOING_ON, TOPOLOGY, World
from edge_marl.simulator.compiled import compile_bodies

__all__ = ["Marks", "Parts", "Programs", "Restarts", "can_run", "launch", "programs", "unfused"]


class Parts(NamedTuple):
    """The arrays of all rows as (rows, part of a row), for copying rows as they are."""

    words: tuple[Any, ...]
    """int64: arrays whose rows are whole words."""
    rests: tuple[Any, ...]
    """int8: the others, few and small."""


class Restarts(NamedTuple):
    """Rows that are to be written over: row rows[i] by row sources[i], i < counts[turn]."""

    rows: Any
    """(E,) int64."""
    sources: Any
    """(E,) int64."""
    counts: Any
    """(2,) int64: of this turn, and of the next one, which a step sets to 0."""


class Marks(NamedTuple):
    """What a step says of every row, besides what `World` has."""

    rewards: Any
    """(E,) float64; not a number where the action was none."""
    done: Any
    """(E,) int8: GOING_ON, TERMINATED or TRUNCATED."""
    finals: Any
    """(E, D) float32: the last observation of an episode that ended."""
    taken: Any
    """(W,) int8: 1 for workloads that were started on."""


class Programs(NamedTuple):
    """Kernels, in CUDA's sense, that Numba compiles when they are first launched."""

    step: Any
    """(world, actions, marks, restarts, turn): one decision in every row, a thread each."""
    copy: Any
    """(to, come, episode, own, restarts, turn): write rows over others, a block for each."""


def can_run() -> bool:
    """Return whether there is a GPU with numba-cuda to compile for it, or the simulator of one."""
    if numba.config.ENABLE_CUDASIM:
        return True
    return find_spec("numba_cuda") is not None and bool(cuda.is_available())


@cache
def programs() -> Programs:
    """Return the programs."""
    # Optimised once more while it is linked (LTO), code may be fused again: see `unfused`.
    exact = {} if numba.config.ENABLE_CUDASIM else {"lto": False}
    inline = {} if numba.config.ENABLE_CUDASIM else {"forceinline": True}
    kernel, device = partial(cuda.jit, **exact), partial(cuda.jit, device=True, **inline)
    step = compile_bodies(device)["step"]
    return Programs(kernel(_steps_by(step)), kernel(_copies_by(device(_copy_row))))


def _steps_by(step: Any) -> Any:
    """Return `Programs.step`: one thread takes one row's decision."""

    def step_rows(w: World, actions: Any, marks: Marks, restarts: Restarts, turn: int) -> None:
        e = cuda.grid(1)
        if e == 0:
            restarts.counts[1 - turn] = 0
        if e >= len(actions):
            return
        marks.rewards[e] = 0.0
        if w.episode[e, DONE] == GOING_ON:
            # Nobody looks at actions before they come here: a wrong one must not write anywhere.
            if 0 <= actions[e] < w.feasible.shape[1]:
                marks.rewards[e] = step(w, e, actions[e])
            else:
                marks.rewards[e] = np.nan
        marks.done[e] = w.episode[e, DONE]
        if w.episode[e, DONE] != GOING_ON:
            for at in range(w.observations.shape[1]):
                marks.finals[e, at] = w.observations[e, at]
            source = e % len(marks.taken)
            marks.taken[source] = 1
            place = cuda.atomic.add(restarts.counts, turn, 1)
            restarts.rows[place] = e
            restarts.sources[place] = source

    return step_rows


def _copy_row(targets: Any, origins: Any, row: int, source: int, first: int, stride: int) -> None:
    """Copy every `stride`-th number of a row, from the `first` on."""
    for array in range(len(targets)):
        target, origin = targets[array], origins[array]
        for at in range(first, target.shape[1], stride):
            target[row, at] = origin[source, at]


def _copies_by(copy_row: Any) -> Any:
    """Return `Programs.copy`: the threads of a block write over one row together."""

    def copy_rows(
        to: Parts, come: Parts, episode: Any, own: bool, restarts: Restarts, turn: int
    ) -> None:
        first, stride = cuda.threadIdx.x, cuda.blockDim.x
        for i in range(cuda.blockIdx.x, restarts.counts[turn], cuda.gridDim.x):
            row, source = restarts.rows[i], restarts.sources[i]
            copy_row(to.words, come.words, row, source, first, stride)
            copy_row(to.rests, come.rests, row, source, first, stride)
            cuda.syncthreads()
            if first == 0:
                episode[row, TOPOLOGY] = row if own else 0

    return copy_rows


def launch(program: Any, blocks: int, threads: int, *arguments: Any) -> None:
    """Have the device run a program after what it was told before; return at once."""
    with unfused():
        program[blocks, threads](*arguments)


@contextmanager
def unfused() -> Iterator[None]:
    """Have programs compiled without fused multiply-adds, which round once and not twice.

    The results of processors and of GPUs are the same bits only then. NVVM, the compiler behind
    Numba, has the option (`-fma=0`); Numba has none to pass it on.
    """
    if numba.config.ENABLE_CUDASIM:  # Python, which fuses nothing, and no NVVM
        yield
        return
    compile_ir = nvvm.compile_ir
    nvvm.compile_ir = partial(compile_ir, fma=False)
    try:
        yield
    finally:
        nvvm.compile_ir = compile_ir
