"""The multi-agent game as a PettingZoo AEC environment: the gateways choose in turn."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, ClassVar, Self

import gymnasium
import numpy as np
import numpy.typing as npt
from pettingzoo import AECEnv

from edge_marl.envs.episodes import State
from edge_marl.envs.parallel import EdgeAIGCParallelEnv
from edge_marl.errors import EpisodeOverError, StateError
from edge_marl.scenario import Scenario
from edge_marl.workload import Workload

__all__ = ["EdgeAIGCAECEnv"]

OF_TURN = (
    *("agents", "agent_selection", "_skip_agent_selection", "_turn", "_choices"),
    *("_no_rewards", "rewards", "_cumulative_rewards", "terminations", "truncations"),
)
"""What a state holds besides the game's: who has chosen what, and what each was told.
`_skip_agent_selection` is PettingZoo's, where agents leave."""


class _FromResetOn:
    """What an attribute is before the first reset: missing, and it says why."""

    def __get__(self, env: object, owner: type) -> Any:
        raise AttributeError("it is no agent's turn before the first reset: call reset() first")


def _costs_in(info: dict[str, Any]) -> dict[str, Any]:
    """Return what an info tells of the last step's costs, which no agent has heard twice."""
    return {name: info[name] for name in ("cost", "costs") if name in info}


class EdgeAIGCAECEnv(AECEnv[str, Any, Any]):
    """`EdgeAIGCParallelEnv` in turns: the agents choose one by one, the last one's choice plays.

    No agent sees the others' choices: observations change when all have chosen.

    Args:
        scenario: as in `EdgeAIGCParallelEnv`.
        settings: likewise, all others.
    """

    metadata: ClassVar[dict[str, Any]] = EdgeAIGCParallelEnv.metadata
    # Not `__getattr__`, which slows every look at an attribute.
    agent_selection: Any = _FromResetOn()

    def __init__(self, scenario: str | Path | Scenario = "paper", **settings: Any) -> None:
        super().__init__()
        self._game = EdgeAIGCParallelEnv(scenario, **settings)
        self.scenario, self.layout = self._game.scenario, self._game.layout
        self.render_mode = self._game.render_mode
        self.possible_agents = self._game.possible_agents
        self.observation_spaces = self._game.observation_spaces
        self.action_spaces = self._game.action_spaces
        self.reward_spaces = self._game.reward_spaces
        self.state_space = self._game.state_space
        self.agents: list[str] = []
        self._choices: dict[str, int] = {}

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the action space of an agent."""
        return self.action_spaces[agent]

    def reward_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the space of an agent's rewards (MOMAland)."""
        return self.reward_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start an episode (see `EdgeAIGCParallelEnv.reset`)."""
        self._observations, self.infos = self._game.reset(seed=seed, options=options)
        self.agents = self.possible_agents[:]
        self.agent_selection = self.agents[0]
        self._turn = 0
        self._choices = {}
        self._no_rewards = {agent: self._nothing_paid(agent) for agent in self.agents}
        self.rewards = self._no_rewards.copy()
        self._cumulative_rewards = self._no_rewards.copy()
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)

    def _nothing_paid(self, agent: str) -> Any:
        """Return a reward of nothing, to be handed out many times."""
        nothing = np.zeros(self.reward_spaces[agent].shape)
        nothing.flags.writeable = False
        return nothing if nothing.ndim else 0.0

    def last(self, observe: bool = True) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Return what the agent whose turn it is gets: observation, reward, ends and info.

        Raises:
            EpisodeOverError: before the first reset.
        """
        if not hasattr(self, "agent_selection"):
            raise EpisodeOverError("last was called before the first reset: call reset() first")
        found: tuple[Any, Any, bool, bool, dict[str, Any]] = super().last(observe)
        return found

    def observe(self, agent: str) -> Any:
        """Return what an agent sees: a copy, so that it is nobody else's."""
        seen = self._observations[agent]
        if isinstance(seen, dict):
            return {name: array.copy() for name, array in seen.items()}
        return seen.copy()

    def step(self, action: Any) -> None:
        """Take the choice of the agent whose turn it is (None of one whose episode is over).

        Raises:
            ActionError: if the choice is outside of the action space; it is still the agent's turn.
            EpisodeOverError: before the first reset, and when no agent is left.
        """
        if not self.agents:
            raise EpisodeOverError("step was called where no agent is left: call reset() first")
        agent = self.agent_selection
        if self.terminations[agent] or self.truncations[agent]:
            self._was_dead_step(action)
            return
        self._choices[agent] = self._game.check_choice(agent, action)
        self._cumulative_rewards[agent] = self._no_rewards[agent]
        self._turn += 1
        if self._turn < len(self.agents):
            if self._turn == 1:
                self.rewards = self._no_rewards.copy()
            self.agent_selection = self.agents[self._turn]
            return
        self._turn = 0
        self._observations, self.rewards, self.terminations, self.truncations, self.infos = (
            self._game.step(self._choices)
        )
        for name, reward in self.rewards.items():
            self._cumulative_rewards[name] = self._cumulative_rewards[name] + reward
        self.agent_selection = self.agents[0]

    def save_state(self) -> State:
        """Return where the game stands, also amid a turn (`EdgeAIGCEnv.save_state`)."""
        turn = {name: getattr(self, name, None) for name in OF_TURN}
        state = self._game.save_state()
        costs = {agent: _costs_in(info) for agent, info in self.infos.items()}
        return state | copy.deepcopy({"turn": turn, "costs": costs})

    def restore_state(self, state: State, *, workload: Workload | None = None) -> None:
        """Go on from a state of such an environment (`EdgeAIGCEnv.restore_state`).

        Raises:
            StateError: it is none, or of another scenario or kind of environment.
            WorkloadError: the workload does not fit, or cannot go on from there.
            EpisodeOverError: another future for an episode that is over.
        """
        if isinstance(state, dict) and state.get("game") and "turn" not in state:
            raise StateError(
                "the state does not say whose turn it is: it is one of the Parallel environment or "
                "of rows; restore it there"
            )
        self._observations, infos = self._game.restore_state(state, workload=workload)
        for name, value in copy.deepcopy(state["turn"]).items():
            setattr(self, name, value)
        costs = copy.deepcopy(state.get("costs", {}))
        self.infos = {
            agent: infos[agent] | (costs.get(agent, {}) if _costs_in(infos[agent]) else {})
            for agent in self.agents
        }

    def clone(self, *, workload: Workload | None = None) -> Self:
        """Return an environment that stands where this one does (`EdgeAIGCEnv.clone`).

        Args:
            workload: what is to come there in place of what is to come here; to look ahead, play
                on in such a clone.
        """
        twin = copy.deepcopy(self, {id(self.scenario): self.scenario})
        if workload is not None:
            twin.restore_state(twin.save_state(), workload=workload)
        return twin

    def state(self) -> npt.NDArray[np.float32]:
        """Return the full present (float32, `state_space`), for centralised training."""
        return self._game.state()

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the episode so far (`edge_marl.METRICS`)."""
        return self._game.metrics()

    def render(self) -> Any:
        """Return what there is to see, by render mode (`EdgeAIGCEnv.render`)."""
        return self._game.render()

    def close(self) -> None:
        """Close the window, if there is one."""
        self._game.close()
