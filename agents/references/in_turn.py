"""`in-turn:AGENT`: gateways decide one after the other, each with the choices before it seen.

Any agent that acts can be had in turn. What it gains on the same agent with all gateways deciding
at once is what coordination within a slot is worth to it: nothing else is different. The order is
that in which the game applies a slot's choices, (arrival, gateway), and `kernel/turns.py` says what
a gateway sees in its turn.

It is played ahead in rows of its own, where one gateway decides at a time, and the choices that
came of it are then taken slot by slot in the game itself. Those rows go on each at its own pace,
so each call of the agent has a decision in every row whose episode is not over, as in the single
environment, and the agent is what it is there: row i is episode i, whichever gateway decides. On
the event clock it gets the figures of the single environment, to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import Agent, CentralAgent, ChooseAll
from edge_marl.agents.own_code import CheckedAgent
from edge_marl.agents.play import shown_to_gateways
from edge_marl.agents.registry import register_family
from edge_marl.scenario import Scenario
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.simulator.turns import TurnSimulator
from edge_marl.workload import Workload

__all__ = ["InTurn", "in_turn"]


class InTurn(CentralAgent):
    """An agent that decides for the gateways of a slot one after the other.

    In the single environment, where each decision is by itself, it is that agent.
    """

    of: ClassVar[type[Agent]]
    """The agent's class."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._agent = self.of(scenario)

    @property
    def settings(self) -> dict[str, Any]:
        """Those of the agent."""
        return self._agent.settings

    def reset(self, seed: int) -> None:
        """Start new episodes in all rows of the agent."""
        self._agent.reset(seed)
        self._seed = seed

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the agent's own action per row."""
        return self._agent.act(observation, info)

    def take_seats(self, game: GatewaySimulator, workloads: Sequence[Workload]) -> ChooseAll:
        """Return what decides, in turn, for the gateways of a game that is about to begin."""
        checked = CheckedAgent(self._agent)
        checked.reset(self._seed)
        return _Ahead(checked, game.scenario, workloads).choose_all


class _Ahead:
    """Episodes that are played in turn, and the choices of their slots."""

    def __init__(
        self, agent: CheckedAgent, scenario: Scenario, workloads: Sequence[Workload]
    ) -> None:
        self._agent = agent
        self._game = TurnSimulator(scenario, len(workloads))
        for row, workload in enumerate(workloads):
            self._game.load(row, workload)
        self._slots: list[deque[npt.NDArray[np.int64]]] = [deque() for _ in workloads]
        self._nothing = np.full(self._game.num_gateways, self._game.nothing)

    def choose_all(self) -> npt.NDArray[np.int64]:
        """Return what gateways choose in the next slot of every row, (E, G)."""
        while any(
            on and not slots for on, slots in zip(self._going_on(), self._slots, strict=True)
        ):
            self._go_on()
        return np.array([slots.popleft() if slots else self._nothing for slots in self._slots])

    def _going_on(self) -> list[bool]:
        on: list[bool] = self._game.going_on.tolist()
        return on

    def _go_on(self) -> None:
        """One decision in every row that is not over."""
        shown, _ = shown_to_gateways(self._game.allowed)
        info = {"action_mask": shown, "agent_index": self._game.whose}
        self._game.take(self._agent.act(self._game.shown, info))
        for row in np.flatnonzero(self._game.ended):
            self._slots[row].append(self._game.told[row].copy())


@register_family("in-turn")
def in_turn(agent: type[Agent]) -> type[InTurn]:
    """Gateways decide one after the other, each with the choices before it in the slot seen."""
    return type(
        f"InTurn{agent.__name__}",
        (InTurn,),
        {"of": agent, "deterministic": agent.deterministic, "__module__": agent.__module__},
    )
