"""The published heuristics, and crash-avoid with its one flaw mended.

All work from the observation and, where they need to know servers, from the scenario's topology.
Source of random, round-robin, crash-avoid and prophet: the code published with the ADSAC paper.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import Agent, legal_actions
from edge_marl.agents.registry import register
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario
from edge_marl.topology import draw_topology
from edge_marl.utility import task_utilities

__all__ = ["CrashAvoid", "CrashAvoidBest", "Prophet", "RandomAgent", "RoundRobin"]

Observations = npt.NDArray[np.float32]
Actions = npt.NDArray[np.int64]


@register("random")
class RandomAgent(Agent):
    """Any legal action, with equal probability. Row i draws from the i-th stream of the seed."""

    def reset(self, seed: int) -> None:
        """Start new streams."""
        self._seeds = np.random.SeedSequence(seed)
        self._streams: list[np.random.PCG64] = []

    def act(self, observation: Observations, info: Mapping[str, Any]) -> Actions:
        """Return one action per row."""
        rows = len(observation)
        if missing := rows - len(self._streams):
            self._streams += map(np.random.PCG64, self._seeds.spawn(max(0, missing)))
        # The upper 53 bits of a raw word as a float in [0, 1): the same on every NumPy version.
        words = np.array([stream.random_raw() for stream in self._streams[:rows]], dtype=np.uint64)
        share = (words >> np.uint64(11)) * 2.0**-53
        legal = legal_actions(info, rows, self.scenario)
        rank = np.floor(share * legal.sum(1)).astype(np.int64)
        action: Actions = (legal.cumsum(1) > rank[:, None]).argmax(1)
        return action


@register("round-robin")
class RoundRobin(Agent):
    """The actions in turn, from 0 in each episode; illegal ones are passed over.

    Published: the services of one server are neighbours, so consecutive tasks meet on one server.
    """

    deterministic = True

    def reset(self, seed: int) -> None:
        """Start all rows at action 0."""
        self._next = np.zeros(0, dtype=np.int64)

    def act(self, observation: Observations, info: Mapping[str, Any]) -> Actions:
        """Return one action per row."""
        rows, count = len(observation), self.scenario.num_actions
        if rows > len(self._next):
            self._next = np.concatenate([self._next, np.zeros(rows - len(self._next), np.int64)])
        turn = (self._next[:rows, None] + np.arange(count)) % count
        legal = legal_actions(info, rows, self.scenario)
        first = np.take_along_axis(legal, turn, 1).argmax(1)
        action: Actions = turn[np.arange(rows), first]
        self._next[:rows] = (action + 1) % count
        return action


@register("crash-avoid")
class CrashAvoid(Agent):
    """The server with the most free capacity, and its first service whatever its quality.

    The first of several such servers. It looks at neither the task's size nor its type.
    """

    deterministic = True

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._layout = ObservationLayout(scenario)

    def reset(self, seed: int) -> None:
        """Nothing is kept between decisions."""

    def act(self, observation: Observations, info: Mapping[str, Any]) -> Actions:
        """Return one action per row."""
        free = self._layout.decode(observation).free
        legal = legal_actions(info, len(observation), self.scenario)
        room = np.where(legal, free.repeat(self.scenario.num_services, axis=1), -1)
        action: Actions = room.argmax(1)
        return action


class _KnowsQualities(CrashAvoid):
    """Base of those who know what every service pays for every task."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._topology = draw_topology(scenario)


@register("crash-avoid-best")
class CrashAvoidBest(_KnowsQualities):
    """The server that crash-avoid takes, and its best service for the task: +51 % on `paper`."""

    def act(self, observation: Observations, info: Mapping[str, Any]) -> Actions:
        """Return one action per row."""
        services = self.scenario.num_services
        server = super().act(observation, info) // services
        task = self._layout.decode(observation)
        utility = task_utilities(self._topology, task.task_type, task.demand)
        legal = legal_actions(info, len(observation), self.scenario)
        here = np.arange(self.scenario.num_actions) // services == server[:, None]
        action: Actions = np.where(legal & here, utility, -np.inf).argmax(1)
        return action


@register("prophet")
class Prophet(_KnowsQualities):
    """The best-paying service among the servers with room; knows all qualities, not the future.

    As published: the first of equals, and where no server has room it sends the task to the first
    service of server 0 and so crashes it.
    """

    def act(self, observation: Observations, info: Mapping[str, Any]) -> Actions:
        """Return one action per row."""
        task = self._layout.decode(observation)
        utility = task_utilities(self._topology, task.task_type, task.demand)
        fits = (task.free >= task.demand[:, None]).repeat(self.scenario.num_services, axis=1)
        legal = legal_actions(info, len(observation), self.scenario)
        # An action that pays nothing is not taken for its utility: the published scan starts at
        # 0.0 and asks for more. Where none is left, the first legal action (0) stands.
        pays = np.where(fits & legal & (utility > 0.0), utility, 0.0)
        action: Actions = np.where(pays.any(1), pays.argmax(1), legal.argmax(1))
        return action
