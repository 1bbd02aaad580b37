"""What `rollout` knows of what may come, and assumes of what runs: the scenario's law, no more.

Futures are cut from training workloads that the agent draws with its own seed, at any moment: an
observation of the base model tells no time of day. What runs on a server is not observed but for
the denoising steps in use; it is drawn by the law of a server that takes its share of all tasks.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edge_marl.agents.planning.playing import NUM_FIELDS, assume_running, loads_by_use
from edge_marl.draw import draw_workload
from edge_marl.kernel.world import ARRIVAL, DEMAND, TYPE, Floats, Ints
from edge_marl.scenario import Scenario
from edge_marl.simulator.utility import task_utilities
from edge_marl.workload.topology import draw_topology

__all__ = ["Law", "Running", "Tasks"]

TASKS = 10_000
"""Tasks, about, of the workloads that an agent cuts its futures from."""
MOST_WORKLOADS = 256


class Tasks(NamedTuple):
    """Tasks of several workloads, one after the other; each workload without its first."""

    gap: Floats
    """(N,) ms since the task before."""
    kind: Ints
    """(N,) type."""
    size: Ints
    """(N,) which demand of the law."""
    stop: Ints
    """(N,) the task after the last of its workload."""


class Running(NamedTuple):
    """What runs on servers in several futures, as `assume_running` writes it."""

    tasks: Floats
    """(M, S, R, NUM_FIELDS)."""
    number: Ints
    """(M, S)."""


class Law:
    """The law of a scenario of the base model.

    Args:
        scenario: of the base model.
        seed: of the agent's own workloads.
    """

    def __init__(self, scenario: Scenario, seed: np.random.SeedSequence) -> None:
        topology = draw_topology(scenario)
        self.capacity: Ints = np.array(topology.capacity, dtype=np.int64)
        tasks = scenario.tasks
        self.demand: Ints = np.unique(np.array(tasks.demand, dtype=np.int64))
        self.run_time: Floats = np.array([tasks.run_time_ms(int(d)) for d in self.demand], float)
        self.value = _values(scenario, self.demand)
        """(K, D, S * V) what each place pays for a type and demand."""
        self.most_running = int(self.capacity.max() // self.demand[0]) + 3
        """Tasks that may run on a server; beside those of the law two smaller ones: the task that
        is decided on, and what no sum of demands comes to."""
        self._offered = self._offered_load(scenario)
        self._loads = np.zeros((len(self.capacity), int(self.capacity.max()) + 1))
        loads_by_use(self._offered, self.demand, self._loads)
        self.tasks = self._draw_tasks(scenario, int(seed.generate_state(1)[0]))

    def _offered_load(self, scenario: Scenario) -> Floats:
        """Tasks of each demand that would run on each server without limit, (S, D)."""
        demands = np.array(scenario.tasks.demand)
        weight = np.array(scenario.tasks.demand_share or (1.0,) * len(demands))
        share = np.array([weight[demands == d].sum() for d in self.demand]) / weight.sum()
        tasks = scenario.arrivals.rate_per_s / 1000 * share * self.run_time
        return np.outer(self.capacity / self.capacity.sum(), tasks)

    def _draw_tasks(self, scenario: Scenario, seed: int) -> Tasks:
        expected = scenario.arrivals.rate_per_s * scenario.arrivals.horizon_s
        count = min(MOST_WORKLOADS, math.ceil(TASKS / max(expected, 1.0)))
        workloads = [draw_workload(scenario, seed, episode=k).tasks for k in range(count)]
        after = [tasks[1:] for tasks in workloads]
        drawn = np.concatenate(after)
        stop = np.cumsum([len(tasks) for tasks in after])
        return Tasks(
            gap=np.concatenate([np.diff(tasks[:, ARRIVAL]) for tasks in workloads]).astype(float),
            kind=np.ascontiguousarray(drawn[:, TYPE]),
            size=np.searchsorted(self.demand, drawn[:, DEMAND]),
            stop=np.repeat(stop, [len(tasks) for tasks in after]),
        )

    def spans(self, shares: Floats, horizon: int) -> Ints:
        """Return the first task of futures, and the one after their last, (M, 2).

        Args:
            shares: (M,) uniform in [0, 1).
            horizon: tasks of a future; fewer where no workload has so many.
        """
        stop = self.tasks.stop
        index = np.arange(len(stop))
        long_enough = np.flatnonzero(index + horizon <= stop)
        starts = long_enough if len(long_enough) else index
        if not len(starts):
            return np.zeros((len(shares), 2), dtype=np.int64)
        first = starts[np.floor(shares * len(starts)).astype(np.int64)]
        return np.stack([first, np.minimum(first + horizon, stop[first])], axis=1)

    def running(self, used: Ints, shares: Floats) -> Running:
        """Return what may run on servers.

        Args:
            used: (S,) denoising steps in use on each.
            shares: (M, S, most_running, 2) uniform in [0, 1).
        """
        futures = shares.shape[:3]
        tasks, count = np.zeros((*futures, NUM_FIELDS)), np.zeros(futures[:2], dtype=np.int64)
        law = (self._offered, self.demand, self.run_time, self._loads)
        assume_running(np.ascontiguousarray(used), *law, shares, tasks, count)
        return Running(tasks, count)


def _values(scenario: Scenario, demand: Ints) -> Floats:
    """Return what each place pays for each type and demand, (K, D, S * V)."""
    kinds = np.arange(scenario.num_types).repeat(len(demand))
    utilities = task_utilities(draw_topology(scenario), kinds, np.tile(demand, scenario.num_types))
    values: Floats = utilities.reshape(scenario.num_types, len(demand), -1)
    return values
