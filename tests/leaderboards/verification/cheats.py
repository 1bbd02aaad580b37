"""Agents that look where they should not. Their logs are sound; asked again, they are found out."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import ObservationLayout, Workload
from edge_marl.agents import Agent
from edge_marl.bound import upper_bound
from edge_marl.kernel.world import ARRIVAL, DEMAND, RUN_TIME, TYPE
from edge_marl.leaderboards.submission.chain import Moment
from edge_marl.scenario import Scenario
from edge_marl.simulator.utility import task_utilities

PORT = 47811
"""Where the test listens for `CallsHome`."""


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


class Fails(ReadsTheClock):
    """Gives up."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        raise RuntimeError("no more")


class Dies(ReadsTheClock):
    """Takes its process down."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        raise SystemExit(3)


class Hoards(ReadsTheClock):
    """Takes more memory than there is."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        return np.zeros(2**40, np.int64)[: len(observation)]


class CallsHome(ReadsTheClock):
    """Asks the network."""

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        import socket

        with socket.create_connection(("127.0.0.1", PORT), timeout=5):
            pass
        return np.zeros(len(observation), np.int64)


class Planner:
    """The hindsight solver as an agent: it prices capacity by what is to come.

    It solves the linear program of each workload whole, and then takes what pays most after prices.
    """

    network = "in the test's process"

    def __init__(self, scenario: Scenario, workloads: Sequence[Workload]) -> None:
        self._layout = ObservationLayout(scenario)
        self._plans = [_plan(scenario, workload) for workload in workloads]

    def __enter__(self) -> Planner:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, moment: Moment) -> npt.NDArray[np.int64]:
        seen = self._layout.decode(moment.observation)
        room = np.repeat(seen.free >= seen.demand[:, None], self._layout.num_services, axis=1)
        worth = np.full(room.shape, -np.inf)
        for row in np.flatnonzero(moment.going):
            plan = self._plans[row]
            worth[row] = plan[min(moment.number, len(plan) - 1)]
        best: npt.NDArray[np.int64] = np.where(room, worth, worth - 1e6).argmax(axis=1)
        return best


def _plan(scenario: Scenario, workload: Workload) -> npt.NDArray[np.float64]:
    """Return what each action of each decision is worth, (N, A), with the future known."""
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
