"""How near a step of the extended model comes to what its memory asks for.

    python -m edge_marl.benchmarks.measure.floor [TIER ...]

It counts the cache lines that a decision must read or write, and takes the time that this machine
needs for as many lines in any order, all known beforehand, of as much memory as the rows use; no
arithmetic. A step's lines are partly in sequence, which is faster: no strict bound. One thread,
processor time, no resets, any action of the action space.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_marl import Scenario, draw_workload, load_scenario
from edge_marl.console import results
from edge_marl.jit import jit
from edge_marl.kernel import world as k
from edge_marl.kernel.agenda import CHILDREN
from edge_marl.simulator import Simulator

__all__ = ["Floor", "lines_touched", "main", "measure"]

TIERS = ("campus", "metro", "studio", "nation", "planet")
ROWS = 256
WORKLOADS = 16
STEPS = 100
ROUNDS = 5
LINE = 64
"""Bytes of a cache line."""


class Floor(NamedTuple):
    """What a decision takes, and what it must take."""

    state: float
    """Bytes of state per row."""
    observation: int
    """Bytes of observation and mask that a decision writes."""
    lines: int
    """Cache lines that a decision touches."""
    floor: float
    """ns per decision to touch them."""
    measured: float
    """ns per decision."""


def measure(scenario: Scenario, rows: int = ROWS) -> Floor:
    """Measure the floor and the step of a scenario of the extended model."""
    simulator = Simulator(scenario, rows, num_threads=1)
    workloads = [draw_workload(scenario, seed) for seed in range(min(rows, WORKLOADS))]
    lines = lines_touched(scenario)
    step = _stepping(simulator, workloads)
    step()  # compile
    live = rows * _live_bytes(simulator)
    touch = _touching(live, rows * lines)
    touch()
    rounds = [(touch(), step()) for _ in range(ROUNDS)]
    floor, measured = (statistics.median(column) / rows for column in zip(*rounds, strict=True))
    seen = simulator.observations.nbytes + simulator.feasible.nbytes
    return Floor(simulator.num_bytes / rows, seen // rows, lines, floor, measured)


def lines_touched(scenario: Scenario) -> int:
    """Count the cache lines that a decision of the extended model touches, whatever happens in it.

    A model that is loaded, a server that fails and a crash touch some more.
    """
    links, services = scenario.num_neighbours, scenario.num_services
    features = 4 * (scenario.num_types + k.EXTENDED_TASK_FEATURES)
    features += 4 * links * (k.EXTENDED_SERVER_FEATURES + services * k.SERVICE_FEATURES)
    written = _lines(features) + _lines(links * services)
    seen_servers = links * (1 + _lines(4 * services))  # telemetry, slowdowns
    judged = _lines(8 * services * (k.BASELINE + scenario.num_types))
    way = _lines(4 * links * k.NUM_LINK_COLUMNS)
    levels = math.ceil(math.log(scenario.num_servers, CHILDREN))
    ends = 2 * (1 + levels)  # the way up in the tree, for a task that begins and one that ends
    task = 2 * (_lines(8 * k.NUM_TASK_COLUMNS) + _lines(8 * k.NUM_DETAIL_COLUMNS)) + 3
    begins = 6 + _lines(8 * (k.BASELINE + scenario.num_types))
    own = _lines(8 * k.NUM_EPISODE_COLUMNS) + 2  # agenda, owed
    return written + seen_servers + judged + way + ends + task + begins + own


def _lines(num_bytes: int) -> int:
    return -(-num_bytes // LINE)


def _live_bytes(simulator: Simulator) -> int:
    """Bytes per row of what decisions come back to: all but what there is per task."""
    arrays: dict[str, npt.NDArray[Any]] = simulator._world._asdict()
    fixed = (array for name, array in arrays.items() if "N" not in k.ARRAYS[name].axes)
    return sum(array.nbytes for array in fixed) // simulator.num_envs


def _touching(num_bytes: int, count: int) -> Any:
    """Return a function that touches `count` lines of so many bytes and gives the ns it took."""
    memory = np.empty(max(num_bytes, LINE) // 8, dtype=np.int64)
    memory.fill(0)
    order = np.random.default_rng(0).integers(len(memory) // 8, size=count) * 8

    def touch() -> float:
        begin = time.thread_time_ns()
        add_at(memory, order)
        return float(time.thread_time_ns() - begin)

    return touch


def _add_at(memory: npt.NDArray[np.int64], order: npt.NDArray[np.int64]) -> None:
    for at in order:
        memory[at] += 1


add_at = jit(_add_at)


def _stepping(simulator: Simulator, workloads: list[Any]) -> Any:
    """Return a function that plays the start of episodes and gives the mean ns of a step."""
    rows = simulator.num_envs
    actions = np.random.default_rng(1).integers(simulator.scenario.num_actions, size=(STEPS, rows))
    rewards = np.zeros(rows)

    def step() -> float:
        for row in range(rows):
            simulator.load(row, workloads[row % len(workloads)])
        begin = time.thread_time_ns()
        for chosen in actions:
            simulator.step(chosen, rewards)
        return (time.thread_time_ns() - begin) / STEPS

    return step


def main() -> None:
    """Measure the tiers that are named, or all of the extended model, and print a table."""
    console = results()
    console.print(f"{ROWS} rows, one thread, medians of {ROUNDS}")
    console.print("tier       state kB/row  seen B  lines  floor ns  measured ns  measured / floor")
    for tier in sys.argv[1:] or TIERS:
        scenario = load_scenario(tier)
        if not scenario.extended:
            raise SystemExit(f"{tier}: not of the extended model, whose steps this takes apart")
        f = measure(scenario)
        console.print(
            f"{scenario.label:10} {f.state / 1e3:12.0f} {f.observation:7} {f.lines:6} "
            f"{f.floor:9.0f} {f.measured:12.0f} {f.measured / f.floor:17.1f}"
        )


if __name__ == "__main__":
    main()
