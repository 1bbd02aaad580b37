"""What NVIDIA's compilers make of the simulator's programs for an H100 or H200; needs no GPU.

    python -m edge_marl.benchmarks.measure.ptx

Needs `pip install 'edge-marl[cuda]'`. Numba and NVVM make PTX, ptxas machine code for sm_90; shown
are the registers of a thread, the bytes of its stack and of what is spilled there, those of the
arguments, and how many instructions multiply and add 64-bit floats in one, or may become such (none
may: results would differ from the processor's).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import numba
import numpy as np
from numba import cuda
from numba.cuda import dispatcher

from edge_marl.console import print_rows, run_command
from edge_marl.draw import draw_workload
from edge_marl.gpu.programs import Marks, Restarts, programs, unfused
from edge_marl.gpu.rows import names_of_rows, parts_of
from edge_marl.kernel.world import World
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator import Simulator

__all__ = ["Resources", "arithmetic", "copy_ptx", "fused", "resources", "step_ptx"]

ARCHITECTURE = (9, 0)


class Resources(NamedTuple):
    """What ptxas reports of a program."""

    registers: int
    stack: int
    """Bytes of local memory."""
    spills: int
    """Bytes stored to it and loaded from it for want of registers."""
    arguments: int
    """Bytes of constant memory."""


class _Arrays(Simulator):
    """A simulator that shows its arrays: what programs take has their types."""

    @property
    def world(self) -> World:
        return self._world


def _started(scenario: Scenario) -> World:
    simulator = _Arrays(scenario)
    simulator.load(0, draw_workload(scenario, 0))
    return simulator.world


def _restarts() -> Restarts:
    return Restarts(*(np.zeros(2, dtype=np.int64) for _ in range(3)))


def step_ptx() -> str:
    """Return the PTX of a step, the same for all scenarios."""
    numbers, flags = np.zeros(2), np.zeros(2, dtype=np.int8)
    marks = Marks(numbers, flags, np.zeros((2, 2), dtype=np.float32), flags)
    actions = np.zeros(2, dtype=np.int64)
    world = _started(load_scenario("smoke"))
    return _ptx(programs().step, world, actions, marks, _restarts(), 0)


def copy_ptx(scenario: Scenario) -> str:
    """Return the PTX of overwriting rows, which depends on what arrays there are."""
    world, extended = _started(scenario), scenario.extended
    parts = parts_of({name: getattr(world, name) for name in names_of_rows(extended)})
    return _ptx(programs().copy, parts, parts, world.episode, extended, _restarts(), 0)


def _ptx(program: Any, *arguments: Any) -> str:
    types = tuple(numba.typeof(argument) for argument in arguments)
    with unfused(), _as_if_on_device():
        text, _ = cuda.compile_ptx(program.py_func, types, cc=ARCHITECTURE)
    return str(text)


@contextmanager
def _as_if_on_device() -> Iterator[None]:
    """Have Numba compile what a program calls without asking the device which one it is."""
    device = SimpleNamespace(compute_capability=ARCHITECTURE)
    with mock.patch.object(dispatcher, "get_current_device", return_value=device):
        yield


def arithmetic(ptx: str) -> Counter[str]:
    """Count the instructions of PTX that compute with 64-bit floats, like `add.rn.f64`."""
    return Counter(re.findall(r"^\s+((?:fma|mad|mul|add|sub|div)[.\w]*\.f64)\b", ptx, re.MULTILINE))


def fused(ptx: str) -> int:
    """Count the instructions that multiply and add, and those that ptxas may make one of.

    It leaves those as they are that say how to round (`.rn`).
    """
    found = arithmetic(ptx)
    return sum(
        found[name] for name in found if name.startswith(("fma", "mad")) or ".rn" not in name
    )


def resources(ptx: str) -> Resources:
    """Return what ptxas reports of PTX with one program.

    Raises:
        subprocess.CalledProcessError: it cannot compile it.
    """
    from cuda import pathfinder  # of the extra `cuda`

    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "program.ptx"), Path(folder, "program.cubin")
        source.write_text(ptx, "utf-8")
        ptxas = str(pathfinder.find_nvidia_binary_utility("ptxas"))
        options = ["--verbose", "--gpu-name=sm_90", f"--output-file={target}"]
        run = subprocess.run(
            [ptxas, *options, str(source)], capture_output=True, text=True, check=True
        )
    said = run.stdout + run.stderr

    def number(pattern: str) -> int:
        (found,) = re.findall(pattern, said)
        return int(found)

    sizes = map(int, re.findall(r"^\s+\.param \.[a-z](\d+) ", ptx, re.MULTILINE))
    return Resources(
        registers=number(r"Used (\d+) registers"),
        stack=number(r"(\d+) bytes stack frame"),
        spills=number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
        arguments=sum(sizes) // 8,
    )


def main() -> None:
    """Compile and report."""
    texts = {
        "step": step_ptx(),
        "copy, base model": copy_ptx(load_scenario("paper")),
        "copy, extended model": copy_ptx(load_scenario("metro")),
    }
    table: list[tuple[str, ...]] = [("program", *Resources._fields, "fused multiply-adds")]
    for name, ptx in texts.items():
        table.append((name, *map(str, resources(ptx)), str(fused(ptx))))
    print_rows(table)


if __name__ == "__main__":
    run_command(main)
