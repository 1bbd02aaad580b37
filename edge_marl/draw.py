"""Drawing a workload from a scenario and a seed, the same on every machine.

Raw 64-bit words of NumPy's PCG64, whose stream is fixed, are turned into tasks by inversion. The
one transcendental function on the way is a logarithm, and its result is rounded to milliseconds, so
that its last bit, which differs between machines, does not matter.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numba
import numpy as np
import numpy.typing as npt

from edge_marl.errors import WorkloadError
from edge_marl.scenario import Scenario, Tasks
from edge_marl.topology import draw_topology
from edge_marl.workload import ARRIVAL, DEMAND, GATEWAY, NUM_TASK_FIELDS, RUN_TIME, TYPE, Workload

__all__ = ["SPLITS", "Split", "draw_tasks", "draw_workload"]

Split = Literal["train", "validation", "test"]
SPLITS: dict[Split, int] = {"train": 0, "validation": 1, "test": 2}
"""Spawn key of each split: no workload of one is a workload of another."""

PUBLIC_SEEDS = 100
"""`validation` and `test` have the seeds 0..99."""

TASK_STREAM = 0
"""Spawn key of the stream that tasks are drawn from; each later part has a stream of its own."""

GAP_WORD, TYPE_WORD, DEMAND_WORD, GATEWAY_WORD = range(4)
"""Which of a task's four words decides what, so that one part never shifts another's draws."""
WORDS_PER_TASK = 4


def draw_workload(
    scenario: Scenario, seed: int, *, split: Split = "train", episode: int = 0
) -> Workload:
    """Return a workload that (scenario, seed, split, episode) decide.

    Args:
        scenario: what to draw from.
        seed: 0 or larger; 0..99 for the splits `validation` and `test`.
        split: `train` is for learning, `validation` for choosing, `test` for reported results.
        episode: an environment seeded once plays episodes 0, 1, 2, ...

    Raises:
        WorkloadError: unknown split, or a seed outside of it.
    """
    if split not in SPLITS:
        raise WorkloadError(f"unknown split '{split}': one of {', '.join(SPLITS)}")
    if split != "train" and not 0 <= seed < PUBLIC_SEEDS:
        raise WorkloadError(f"seed {seed}: split '{split}' has the seeds 0..{PUBLIC_SEEDS - 1}")
    tasks = draw_tasks(scenario, seed, split=split, episode=episode)
    return Workload(topology=draw_topology(scenario), tasks=tasks)


def draw_tasks(
    scenario: Scenario, seed: int, *, split: Split = "train", episode: int = 0
) -> npt.NDArray[np.int64]:
    """Return the tasks of `draw_workload`, (N, 5), without checks: the path of automatic resets."""
    if seed < 0:
        raise WorkloadError(f"seed {seed}: must be 0 or larger")
    key = (SPLITS[split], episode, TASK_STREAM)
    stream = np.random.PCG64(np.random.SeedSequence(entropy=seed, spawn_key=key))
    arrivals, law = scenario.arrivals, scenario.tasks
    least = 2 if scenario.episode.end == "last-task" else 1
    expected = arrivals.rate_per_s * arrivals.horizon_s
    # Eight standard deviations more than expected; the loop is for the rest.
    size = int(expected + 8 * math.sqrt(expected)) + 16
    words = stream.random_raw(WORDS_PER_TASK * size)
    while True:
        tasks = np.empty((len(words) // WORDS_PER_TASK, NUM_TASK_FIELDS), dtype=np.int64)
        count = _fill(
            tasks,
            words,
            1000 / arrivals.rate_per_s,
            arrivals.horizon_ms,
            arrivals.resolution_ms,
            least,
            law.types,
            _demand_and_run_time(law),
            scenario.gateways.count,
        )
        if count < len(tasks):
            return tasks[:count]
        words = np.concatenate([words, stream.random_raw(WORDS_PER_TASK * size)])


@lru_cache(maxsize=64)
def _demand_and_run_time(law: Tasks) -> npt.NDArray[np.int64]:
    """Each possible demand with its run time in milliseconds, (len(law.demand), 2)."""
    return np.array([(t, law.run_time_ms(t)) for t in law.demand], dtype=np.int64)


@numba.njit(cache=True)
def _choose(word: np.uint64, count: int) -> int:
    """Uniform on 0..count-1, from the upper 32 bits (bias below count / 2**32)."""
    return int(((word >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32))


@numba.njit(cache=True)
def _fill(
    tasks: npt.NDArray[np.int64],
    words: npt.NDArray[np.uint64],
    mean_gap_ms: float,
    horizon_ms: int,
    resolution_ms: int,
    least: int,
    types: int,
    demand_and_run_time: npt.NDArray[np.int64],
    gateways: int,
) -> int:
    """Fill `tasks` row by row; return how many arrive before the horizon.

    `least` tasks are kept wherever they fall, so that an episode has a decision (with the rates of
    the released tiers the horizon never comes this early).
    """
    arrival = 0
    for k in range(len(tasks)):
        at = WORDS_PER_TASK * k
        if k > 0:
            # 53 bits, shifted into (0, 1]: the logarithm is finite.
            uniform = (np.float64(words[at + GAP_WORD] >> np.uint64(11)) + 1.0) / 2.0**53
            arrival += int(-math.log(uniform) * mean_gap_ms + 0.5)
            if arrival >= horizon_ms and k >= least:
                return k
        choice = _choose(words[at + DEMAND_WORD], len(demand_and_run_time))
        tasks[k, ARRIVAL] = arrival // resolution_ms * resolution_ms
        tasks[k, RUN_TIME] = demand_and_run_time[choice, 1]
        tasks[k, DEMAND] = demand_and_run_time[choice, 0]
        tasks[k, TYPE] = _choose(words[at + TYPE_WORD], types)
        tasks[k, GATEWAY] = _choose(words[at + GATEWAY_WORD], gateways)
    return len(tasks)
