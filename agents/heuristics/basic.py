"""The published heuristics, and crash-avoid with its one flaw mended.

All work from the observation and, in the base model, where they need to know qualities, from the
scenario's topology. In the extended model all but random, which is the zero of the normalised
score, pass over servers that they see are down.
Source of random, round-robin, crash-avoid and prophet: the code published with the ADSAC paper.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import Agent
from edge_marl.agents.heuristics.known import Known
from edge_marl.agents.heuristics.view import Bools, View, any_place, best_action, pick
from edge_marl.agents.registry import register
from edge_marl.agents.streams import RowStreams
from edge_marl.kernel.world import Floats
from edge_marl.scenario import Scenario

__all__ = [
    "CrashAvoid",
    "CrashAvoidBest",
    "Heuristic",
    "Prophet",
    "RandomAgent",
    "RandomHeuristic",
    "Ranking",
    "RoundRobin",
]

Observations = npt.NDArray[np.float32]
Actions = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


class Heuristic(Agent):
    """Decides on what it sees now and keeps nothing between decisions."""

    deterministic = stateless = True
    heeds_room = True
    """Whether it says no, where it may, to a task that fits nowhere."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._known = Known(scenario)

    def reset(self, seed: int) -> None:
        """Nothing is kept between decisions."""

    def act(self, observation: Observations, info: Mapping[str, Any]) -> Actions:
        """Return one action per row."""
        view = View(self._known, observation, info)
        action = self.choose(view)
        if self.heeds_room and self.scenario.decline:
            return view.or_decline(action, ~any_place(view.fits))
        return action

    @abstractmethod
    def choose(self, view: View) -> Actions:
        """Return one action per row of a view, (B,)."""


class Ranking(Heuristic):
    """Takes the best of the places that it allows."""

    @abstractmethod
    def rank(self, view: View) -> tuple[Bools, Floats]:
        """Return which places are allowed, and what each is worth, (B, N, V) both."""

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        return best_action(*self.rank(view))

    def opinion(
        self, observation: Observations, info: Mapping[str, Any]
    ) -> tuple[npt.NDArray[np.bool_], Shares, Shares]:
        """Return which actions are allowed, what each is worth, and its value alone, (B, A) all.

        The value is what its own task gets; what it is worth is that less what else it costs. To
        say no, where that may be done, is allowed and worth its price.

        Args:
            observation: (B, D).
            info: what came with it; see `Agent.act`.
        """
        view = View(self._known, observation, info)
        found, values = self.rank(view)
        allowed = found.reshape(view.rows, -1)
        worth, value = (part.reshape(view.rows, -1) for part in (values, view.value))
        if self.scenario.decline is None:
            return allowed, worth, value
        price = -self.scenario.decline.price * view.weight[:, :, 0]
        allowed = np.hstack([allowed, view.may_decline[:, None]])
        return allowed, np.hstack([worth, price]), np.hstack([value, price])


class RandomHeuristic(Heuristic):
    """Base of those who draw lots. Row i draws from the i-th stream of the seed."""

    deterministic = stateless = False

    def reset(self, seed: int) -> None:
        """Start new streams."""
        self._streams = RowStreams(seed)

    def draw(self, rows: int) -> Shares:
        """Return a number in [0, 1) for each row, (rows,)."""
        # The upper 53 bits of a raw word as a float in [0, 1): the same on every NumPy version.
        raw = [stream.bit_generator.random_raw() for stream in self._streams.of(rows)]
        words = np.array(raw, dtype=np.uint64)
        return np.asarray((words >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


@register("random")
class RandomAgent(RandomHeuristic):
    """Any legal action, with equal probability."""

    heeds_room = False

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        return pick(view.mask, self.draw(view.rows))


@register("round-robin")
class RoundRobin(Heuristic):
    """The actions in turn, from 0 in each episode; illegal ones are passed over.

    Published: the services of one server are neighbours, so consecutive tasks meet on one server.
    """

    stateless = False
    heeds_room = False

    def reset(self, seed: int) -> None:
        """Start all rows at action 0."""
        self._next = np.zeros(0, dtype=np.int64)

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        rows = view.rows
        legal = view.usable.reshape(rows, -1)
        count = legal.shape[1]
        if rows > len(self._next):
            self._next = np.concatenate([self._next, np.zeros(rows - len(self._next), np.int64)])
        turn = (self._next[:rows, None] + np.arange(count)) % count
        first = np.take_along_axis(legal, turn, 1).argmax(1)
        action: Actions = turn[np.arange(rows), first]
        self._next[:rows] = (action + 1) % count
        return action


@register("crash-avoid")
class CrashAvoid(Heuristic):
    """The server with the most free capacity, and its first service whatever its quality.

    The first of several such servers. It looks at neither the task's size nor its type. The cloud,
    which is never full, is its choice where no server of the edge has any free capacity.
    """

    heeds_room = False

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        # A cloud behind all that has a free step, and before all that has none.
        free = np.where(self._known.cloud, 0.5, view.free)
        return best_action(view.usable, free[..., None])


@register("crash-avoid-best")
class CrashAvoidBest(CrashAvoid):
    """The server that crash-avoid takes, and its best service for the task: +51 % on `paper`.

    Knows what each service pays: in the base model from the topology, in the extended one it sees
    it.
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        server = super().choose(view) // view.legal.shape[2]
        return best_action(view.usable & view.of_server(server), view.value)


@register("prophet")
class Prophet(Heuristic):
    """The best-paying service among the servers with room; knows all qualities, not the future.

    As published: the first of equals, and where no server has room it sends the task to the first
    service of server 0 and so crashes it. In the extended model qualities are observed and it takes
    the largest net reward: the stage's share of the value after the lateness that it expects, less
    its cost. Where nothing has room it does the least harm (`View.least_bad`). Its handicap is
    what telemetry does not show, for which it keeps a reserve (`View.safe`).
    """

    def choose(self, view: View) -> Actions:
        """Return one action per row."""
        if self.scenario.extended:
            return best_action(view.candidates, view.value)
        # An action that pays nothing is not taken for its utility: the published scan starts at
        # 0.0 and asks for more. Where none is left, the first legal action (0) stands.
        pays = np.where(view.fits & (view.value > 0.0), view.value, 0.0).reshape(view.rows, -1)
        first_legal = view.legal.reshape(view.rows, -1).argmax(1)
        action: Actions = np.where(pays.any(1), pays.argmax(1), first_legal)
        return action
