"""The multi-agent game as a batch: rows are (environment, gateway), one array step for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode

from edge_marl.envs import spaces
from edge_marl.envs.accounts import Cost, open_accounts, reward_space
from edge_marl.envs.arguments import check_reward
from edge_marl.envs.batch import ManyEpisodes
from edge_marl.envs.episodes import check_batch
from edge_marl.envs.parallel import REWARDS, Reward, game_scenario, share_rewards
from edge_marl.errors import ActionError
from edge_marl.kernel import batch
from edge_marl.kernel.world import GOING_ON, TERMINATED, TRUNCATED
from edge_marl.scenario import Scenario
from edge_marl.simulator.gateways import GatewaySimulator

__all__ = ["EdgeAIGCRows"]

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


class EdgeAIGCRows(ManyEpisodes):
    """`num_envs` copies of `EdgeAIGCParallelEnv`, environment by environment the same games.

    Arrays are (E, G, ...): environments, then gateways in the order of `possible_agents`. Flattened
    to (E * G, ...) they are the batch of a parameter-shared learner, and `torch.from_numpy` makes
    tensors of them without a copy. Seeds, episodes and automatic resets: as `EdgeAIGCVectorEnv`.

    Args:
        num_envs: number of environments E.
        scenario: as in `EdgeAIGCParallelEnv`, like `world`, `gateways`, `slot_s`, `hold`, `reward`.
        world: see there.
        gateways: see there.
        slot_s: see there.
        hold: see there.
        reward: see there; "vector" gives (E, G, 5).
        autoreset_mode: `SAME_STEP` or `DISABLED`.
        cost: see there; costs in the infos are float64 (E, G), of the step, as rewards are.

    Raises:
        ScenarioError: unknown tier, malformed file or argument.
    """

    _simulator: GatewaySimulator

    def __init__(
        self,
        num_envs: int,
        scenario: str | Path | Scenario = "paper",
        world: int | None = None,
        gateways: int | Literal["servers"] | None = None,
        slot_s: float | None = None,
        hold: bool | None = None,
        reward: Reward = "team",
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        cost: Cost | None = None,
    ) -> None:
        modes = (AutoresetMode.SAME_STEP, AutoresetMode.DISABLED)
        num_envs, mode = check_batch(num_envs, autoreset_mode, modes)
        self._same_step = mode == AutoresetMode.SAME_STEP
        self.scenario = game_scenario(scenario, world, gateways, slot_s, hold)
        self.num_envs = num_envs
        self.num_gateways = self.scenario.gateways.count
        self.single_observation_space = spaces.gateway_observation_space(self.scenario, "info")
        self.single_action_space = spaces.gateway_action_space(self.scenario)
        self._reward = check_reward(reward, REWARDS)
        restarts = batch.SAME_STEP if self._same_step else batch.NOT_BY_ITSELF
        simulator = GatewaySimulator(self.scenario, num_envs)
        self._open(simulator, restarts, open_accounts(simulator, cost, reward == "vector"))
        self.single_reward_space = reward_space(reward == "vector")
        self.layout = self._simulator.layout
        self._indices = np.tile(np.arange(self.num_gateways, dtype=np.int64), (num_envs, 1))
        self._indices.flags.writeable = False

    def reset(
        self,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Floats, dict[str, Any]]:
        """Start episodes (see `EdgeAIGCVectorEnv.reset`).

        Returns:
            Observations (E, G, D), and infos with `action_mask` int8 (E, G, S * V + 1) and
            `agent_index` int64 (E, G), which gateway a row is: always the same array, read only.
        """
        self._episodes.reset(seed, options)
        return self._see(), self._infos()

    def step(
        self, choices: npt.ArrayLike
    ) -> tuple[Floats, npt.NDArray[np.float64], Flags, Flags, dict[str, Any]]:
        """Take one step in every environment.

        Args:
            choices: (E, G) whole numbers from 0 to S * V; S * V is to do nothing. Of an environment
                whose episode is over any; of a gateway without a task they count as illegal.

        Returns:
            Observations (E, G, D), rewards (E, G), as a vector (E, G, 5), terminated and truncated
            (E,), infos. Where an environment ended with `SAME_STEP`, `infos["final_obs"]`
            (E, G, D) has its last observations, and `infos["_final_obs"]` (E,) is set.

        Raises:
            ActionError: wrong number or kind of choices, or one outside the action space.
            EpisodeOverError: before every environment has been reset.
        """
        chosen = self._check(choices)
        self._episodes.check_started()
        room = self._room(chosen.shape)
        own, seen, masks = room
        if self._accounts is not None:
            self._accounts.before()
        self._simulator.play(chosen, *room)
        if self._accounts is not None:
            self._accounts.after()
        self._start_left(room)
        ended = self._simulator.stepper.ended
        infos = self._infos_with(masks)
        if self._same_step and ended.any():
            infos |= self._finals(ended != GOING_ON)
        rewards = share_rewards(own, self._accounts, self._reward)
        return self._by_gateway(seen), rewards, ended == TERMINATED, ended == TRUNCATED, infos

    def _finals(self, ended: Flags) -> dict[str, Any]:
        """Return the last observations of environments that ended, whose next episodes began."""
        last = self._by_gateway(self._simulator.stepper.last_seen)
        final_obs = np.zeros_like(last)
        final_obs[ended] = last[ended]
        return {"final_obs": final_obs, "_final_obs": ended}

    def _by_gateway(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return (E * G, ...) as (E, G, ...)."""
        return array.reshape(self.num_envs, self.num_gateways, -1)

    @property
    def game(self) -> GatewaySimulator:
        """The simulator of all rows, true state and all: for references that see the whole game."""
        return self._simulator

    def state(self) -> Floats:
        """Return the full present of every environment, (E, state size)."""
        return self._simulator.states()

    def _see(self) -> Floats:
        return self._by_gateway(self._seen.of(self._simulator.seen))

    def _infos(self) -> dict[str, Any]:
        return self._infos_with(self._legal.of(self._simulator.masks))

    def _infos_with(self, masks: npt.NDArray[np.int8]) -> dict[str, Any]:
        infos = {"action_mask": self._by_gateway(masks), "agent_index": self._indices}
        return infos if self._accounts is None else infos | self._accounts.told()

    def _check(self, choices: npt.ArrayLike) -> npt.NDArray[np.int64]:
        chosen = np.asarray(choices)
        shape = (self.num_envs, self.num_gateways)
        if chosen.shape != shape or not np.issubdtype(chosen.dtype, np.integer):
            raise ActionError(
                f"choices have shape {chosen.shape} and type {chosen.dtype}: must be whole numbers "
                f"of shape {shape}"
            )
        nothing = self._simulator.nothing
        outside = (chosen < 0) | (chosen > nothing)
        if outside.any():
            wrong = np.argwhere(outside & (self._simulator.done == GOING_ON)[:, None])
            if len(wrong):
                e, g = wrong[0]
                raise ActionError(
                    f"choice {chosen[e, g]} of row {e}, gateway {g}: must be from 0 to {nothing} "
                    f"(server * services per server + service, or {nothing}: nothing)"
                )
            chosen = np.where(outside, nothing, chosen)
        return chosen.astype(np.int64, copy=False)
