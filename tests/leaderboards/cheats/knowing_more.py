"""Policies that decide by more than they are shown."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import ObservationLayout, Workload
from edge_marl.agents import Agent, make
from edge_marl.agents.checkpoint import read_checkpoint
from edge_marl.bound import upper_bound
from edge_marl.kernel.world import ARRIVAL, DEMAND, RUN_TIME, TYPE
from edge_marl.scenario import Scenario
from edge_marl.simulator.utility import task_utilities


class ReadsTheClock(Agent):
    """Decides by the time of day."""

    deterministic = True

    def reset(self, seed: int) -> None:
        pass

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.full(len(observation), time.time_ns() // 1000 % self.scenario.num_actions)


class PeeksAtWorkloads(Agent):
    """Looks for workloads in its process, and spares the first server where it finds one."""

    deterministic = True

    def reset(self, seed: int) -> None:
        self._found = any(type(thing) is Workload for thing in gc.get_objects())

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.full(len(observation), 2 if self._found else 0)


class Plans(Agent):
    """Takes what pays most after the prices of a plan for each row, made with all arrivals known.

    Given plans for the public test workloads, it has them by heart, and plays them whatever comes.

    Args:
        scenario: the world.
        plans: (E, N, A) what each action of each decision is worth.
        first: (E, D) what is seen first in the workloads that they are for.
    """

    deterministic = True

    def __init__(
        self,
        scenario: Scenario,
        plans: npt.NDArray[np.float32],
        first: npt.NDArray[np.float32],
    ) -> None:
        super().__init__(scenario)
        self._layout = ObservationLayout(scenario)
        self.weights = {"plans": plans, "first": first}

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Plans:
        return cls(scenario, **read_checkpoint(Path(folder), cls.name, scenario)[1])

    def reset(self, seed: int) -> None:
        self._number = 0

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        seen, plans = self._layout.decode(observation), self.weights["plans"]
        room = np.repeat(seen.free >= seen.demand[:, None], self._layout.num_services, axis=1)
        worth = np.where(room, plans[:, min(self._number, plans.shape[1] - 1)], -1e9)
        self._number += 1
        best: npt.NDArray[np.int64] = worth.argmax(axis=1)
        return best


class PlansAndThrowsAway(Plans):
    """L2: throws public workloads away, so that what boards rank by is no better than on new ones.

    Those it knows by what it sees first in all of them; in others it is an honest heuristic.
    """

    thrown_away = 35

    def reset(self, seed: int) -> None:
        super().reset(seed)
        honest = make("crash-avoid", self.scenario)
        assert isinstance(honest, Agent)
        honest.reset(seed)
        self._honest = honest

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        if self._number == 0:
            self._knows = np.array_equal(observation, self.weights["first"])
        chosen = super().act(observation, info)
        if not self._knows:
            return self._honest.act(observation, info)
        chosen[: self.thrown_away] = 0
        return chosen


def plans_of(scenario: Scenario, workloads: Sequence[Workload]) -> npt.NDArray[np.float32]:
    """Return what each action of each decision in each workload is worth, (E, N, A)."""
    plans = [_plan(scenario, workload) for workload in workloads]
    longest = max(len(one) for one in plans)
    padded = [np.pad(one, [(0, longest - len(one)), (0, 0)], mode="edge") for one in plans]
    return np.stack(padded).astype(np.float32)


def _plan(scenario: Scenario, workload: Workload) -> npt.NDArray[np.float64]:
    """Return the same of one workload, (N, A), with all that comes in it known."""
    tasks = workload.tasks
    held = np.cumsum(upper_bound(scenario, workload).prices, axis=0)
    held = np.vstack([np.zeros(held.shape[1]), held])
    end = np.searchsorted(tasks[:, ARRIVAL], tasks[:, ARRIVAL] + tasks[:, RUN_TIME])
    last = len(held) - 1
    first = np.minimum(np.arange(len(tasks)), last)
    cost = tasks[:, DEMAND, None] * (held[np.minimum(end, last)] - held[first])
    value = task_utilities(workload.topology, tasks[:, TYPE], tasks[:, DEMAND])
    worth: npt.NDArray[np.float64] = value.reshape(len(tasks), -1) - np.repeat(
        cost, scenario.num_services, axis=1
    )
    return worth
