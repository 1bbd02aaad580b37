"""The multi-agent game as a PettingZoo Parallel environment: every gateway is an agent."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces as gym_spaces
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from edge_marl.envs import spaces
from edge_marl.envs.accounts import Accounts, Cost, open_accounts, reward_space
from edge_marl.envs.arguments import as_action, check_reward
from edge_marl.envs.episodes import RowEpisodes, State
from edge_marl.envs.one_episode import RENDER_FPS, RENDER_MODES, OneEpisode
from edge_marl.errors import ActionError, EpisodeOverError
from edge_marl.kernel.world import GOING_ON, TERMINATED
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator.gateways import GatewaySimulator
from edge_marl.workload.parts import check_seed

__all__ = ["REWARDS", "EdgeAIGCParallelEnv", "Reward", "game_scenario", "share_rewards"]

Reward = Literal["team", "local", "vector"]
REWARDS: tuple[Reward, ...] = ("team", "local", "vector")


def game_scenario(
    scenario: str | Path | Scenario,
    world: int | None,
    gateways: int | Literal["servers"] | None,
    slot_s: float | None,
    hold: bool | None,
) -> Scenario:
    """Return the scenario of a game: one loaded, with its gateways and clock replaced where given.

    Raises:
        ScenarioError: unknown tier, malformed file or argument.
    """
    base = load_scenario(scenario, world)
    if gateways is not None:
        base = base.with_gateways(base.num_servers if gateways == "servers" else gateways)
    if slot_s is not None or hold is not None:
        base = base.with_clock(
            base.clock.slot_s if slot_s is None else slot_s,
            base.clock.hold if hold is None else hold,
        )
    return base


def share_rewards(
    own: npt.NDArray[np.float64], accounts: Accounts | None, reward: Reward
) -> npt.NDArray[np.float64]:
    """Return what agents get of what their own dispatches paid, (E, G) -> (E, G).

    `local` is that itself, `team` the mean over gateways for each of them; `vector` the parts of
    what each one's own paid, (E, G, 5), of the accounts.
    """
    if reward == "vector" and accounts is not None:
        return accounts.parts.copy()
    if reward == "local":
        return own
    return np.repeat(own.sum(-1, keepdims=True) / own.shape[-1], own.shape[-1], axis=-1)


class EdgeAIGCParallelEnv(OneEpisode, ParallelEnv[str, Any, int]):
    """Agents `gateway_0` ... send the tasks that arrive with them to servers and services.

    On the event clock (`slot_s = 0`) the gateway of the arriving task decides alone, and the game
    is that of `EdgeAIGC-v0`, bit for bit. On the slotted clock all gateways with a waiting task
    decide at once at the start of a slot, on what they saw then; their choices are applied in order
    of (arrival, gateway). An episode whose first task comes too late for a slot before the horizon
    has no decision: it is over at once, which its first step tells.

    Observation: as the single environment's, with the gateway's own waiting task, or zeros. Action:
    `server * V + service`, or `S * V`: nothing. A gateway without a task has only that; one with a
    task has it where `hold` is on. A choice that the mask forbids counts as illegal and as nothing;
    a task for which nothing was chosen without `hold` is dropped.

    An agent's info: `action_mask` (int8), and `agent_index` (int64), its place in
    `possible_agents`.

    Args:
        scenario: a game's or a tier's name, the path of a scenario file, or a `Scenario`.
        world: another published world of the tier.
        gateways: number of gateways, or "servers" for one at each; None is the scenario's.
        slot_s: length of a slot in seconds, 0 for the event clock; None is the scenario's.
        hold: whether a gateway may keep its task for the next slot; None is the scenario's.
        reward: "team" (mean over gateways, the same for all), "local" (own tasks), or "vector" for
            the parts of the local one, float64 (5,), in `reward_space(agent)`
            (`edge_marl.REWARD_PARTS`).
        action_mask: where the mask is: "info", or "observation" for a dict of vector and mask.
        render_mode: None, "ansi" (text), "rgb_array" (picture) or "human" (window).
        cost: the one of `edge_marl.COSTS` that is `"cost"` in an agent's info, of its own tasks;
            all of them are in `"costs"` then. None counts none.

    Raises:
        ScenarioError: unknown tier, malformed file or argument.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "name": "edge_aigc_v0",
        "render_modes": list(RENDER_MODES),
        "is_parallelizable": True,
        "render_fps": RENDER_FPS,
    }

    def __init__(
        self,
        scenario: str | Path | Scenario = "paper",
        world: int | None = None,
        gateways: int | Literal["servers"] | None = None,
        slot_s: float | None = None,
        hold: bool | None = None,
        reward: Reward = "team",
        action_mask: spaces.MaskIn = "info",
        render_mode: str | None = None,
        cost: Cost | None = None,
    ) -> None:
        self.scenario = game_scenario(scenario, world, gateways, slot_s, hold)
        self._reward = check_reward(reward, REWARDS)
        self._flat = action_mask == "info"
        self._set_render_mode(render_mode)
        self._simulator: GatewaySimulator = GatewaySimulator(self.scenario)
        self._accounts = open_accounts(self._simulator, cost, reward == "vector")
        self._episodes = RowEpisodes(self._simulator, self._accounts)
        self.layout = self._simulator.layout
        count = self.scenario.gateways.count
        self.possible_agents = [f"gateway_{g}" for g in range(count)]
        self.agents: list[str] = []
        # One object per agent, each call the same: sampling is seeded per object.
        self.observation_spaces = {
            agent: spaces.gateway_observation_space(self.scenario, action_mask)
            for agent in self.possible_agents
        }
        self.action_spaces = {
            agent: spaces.gateway_action_space(self.scenario) for agent in self.possible_agents
        }
        self.reward_spaces = dict.fromkeys(self.possible_agents, reward_space(reward == "vector"))
        self.state_space = gym_spaces.Box(0.0, 1.0, (self._simulator.state_size,), np.float32)
        self._own_rewards = np.zeros((1, count))
        self._indices = spaces.indices_of(self.scenario)
        self._began = False
        self.np_random: np.random.Generator = seeding.np_random()[0]
        """Nothing here draws from it: wrappers of SuperSuit do."""

    def observation_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the observation space of an agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the action space of an agent."""
        return self.action_spaces[agent]

    def reward_space(self, agent: str) -> gymnasium.Space[Any]:
        """Return the space of an agent's rewards (MOMAland)."""
        return self.reward_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        """Start an episode.

        Args:
            seed: starts over with episode 0 of this seed; None plays the next episode.
            options: `{"workload": Workload}` plays that one; other keys are passed over.

        Raises:
            WorkloadError: if the workload is none, or does not fit the scenario.
        """
        self._start(seed, options)
        if seed is not None:
            self.np_random = seeding.np_random(check_seed(seed))[0]
        self._began = True
        self.agents = self.possible_agents[:]
        return self._see()

    def step(
        self, actions: Mapping[str, int]
    ) -> tuple[
        dict[str, Any],
        dict[str, Any],
        dict[str, bool],
        dict[str, bool],
        dict[str, dict[str, Any]],
    ]:
        """Take one step: a choice of every agent.

        Once the agents are gone a step without choices returns five empty dicts, as in PettingZoo's
        own environments.

        Raises:
            ActionError: if an agent's choice is missing or outside of its action space.
            EpisodeOverError: before the first reset, and after the end of an episode.
        """
        if not self.agents:
            if self._began and not actions:
                return {}, {}, {}, {}, {}  # what wrappers that keep agents alive ask for
            raise EpisodeOverError(
                "step was called where no episode is running: call reset() first, and again after "
                "the agents are gone"
            )
        choices = self._choices(actions)
        if self._accounts is not None:
            self._accounts.before()
        self._simulator.play(choices, self._own_rewards)
        if self._accounts is not None:
            self._accounts.after()
        done = int(self._simulator.done[0])
        agents = self.agents
        shared = share_rewards(self._own_rewards, self._accounts, self._reward)[0]
        each: Any = shared if self._reward == "vector" else shared.tolist()
        rewards = dict(zip(agents, each, strict=True))
        terminations = dict.fromkeys(agents, done == TERMINATED)
        truncations = dict.fromkeys(agents, done not in (GOING_ON, TERMINATED))
        observations, infos = self._see()
        if done != GOING_ON:
            self.agents = []
        return observations, rewards, terminations, truncations, infos

    def save_state(self) -> State:
        """Return where the game stands (`EdgeAIGCEnv.save_state`)."""
        return super().save_state() | {"over": not self.agents}

    def _go_on(self, state: State) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        self._began, self.agents = True, self.possible_agents[:]
        seen = self._see()
        # A row of a batch has no agents that leave. Without a decision they are there for a step.
        if state.get("over", self._simulator.done[0] != GOING_ON):
            self.agents = []
        return seen

    def check_choice(self, agent: str, action: Any) -> int:
        """Return an agent's choice as a whole number.

        Raises:
            ActionError: if it is none of the action space.
        """
        nothing = self._simulator.nothing
        try:
            choice = operator.index(action)
        except TypeError:
            choice = as_action(action)
        if not 0 <= choice <= nothing:
            raise ActionError(
                f"action {action!r} of {agent}: must be a whole number from 0 to {nothing} "
                f"(server * services per server + service, or {nothing}: nothing)"
            )
        return choice

    def state(self) -> npt.NDArray[np.float32]:
        """Return the full present (float32, `state_space`), for centralised training."""
        self._episodes.check_row(0)
        return self._simulator.state(0)

    def _see(self) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
        if self._window is not None:
            self.render()
        seen, masks = self._simulator.seen.copy(), self._simulator.masks.copy()
        infos = {
            agent: {"action_mask": mask, "agent_index": index}
            for agent, mask, index in zip(self.agents, masks, self._indices, strict=True)
        }
        if self._accounts is not None:
            for agent, told in zip(self.agents, self._accounts.told_of_seats(), strict=True):
                infos[agent] |= told
        if self._flat:
            return dict(zip(self.agents, seen, strict=True)), infos
        pairs = zip(self.agents, seen, masks, strict=True)
        return {agent: spaces.with_mask(vector, mask) for agent, vector, mask in pairs}, infos

    def _choices(self, actions: Mapping[str, int]) -> npt.NDArray[np.int64]:
        choices = np.empty((1, len(self.agents)), dtype=np.int64)
        if actions.keys() != set(self.agents):
            missing = [agent for agent in self.agents if agent not in actions]
            extra = [agent for agent in actions if agent not in self.agents]
            raise ActionError(
                f"actions are for {len(actions)} agents (missing: {', '.join(missing) or 'none'}; "
                f"unknown: {', '.join(map(str, extra)) or 'none'}): give each agent one"
            )
        for g, agent in enumerate(self.agents):
            choices[0, g] = self.check_choice(agent, actions[agent])
        return choices
