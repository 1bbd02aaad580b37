"""`EdgeAIGC-v0`: one orchestrator that takes every decision (Gymnasium)."""

from __future__ import annotations

from operator import index
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import numpy.typing as npt

from edge_marl.envs import spaces
from edge_marl.envs.accounts import Cost, open_accounts, reward_space
from edge_marl.envs.arguments import as_action, check_reward
from edge_marl.envs.episodes import RowEpisodes, State, check_single
from edge_marl.envs.one_episode import RENDER_FPS, RENDER_MODES, OneEpisode
from edge_marl.errors import ActionError, EpisodeOverError
from edge_marl.kernel.world import GOING_ON, TERMINATED, TRUNCATED
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator import Simulator
from edge_marl.workload.parts import check_seed

__all__ = ["EdgeAIGCEnv", "SingleReward"]

SingleReward = Literal["scalar", "vector"]


class EdgeAIGCEnv(OneEpisode, gymnasium.Env[Any, Any]):
    """Send each arriving task to one of the servers and one of the generative models there.

    Observation: float32 vector (`layout` says what is where). Action: `server * V + service`, where
    gateways see neighbourhoods `neighbour * V + service`.
    Reward: the user's utility, or minus the cost of the server crash that the task caused.
    `info["action_mask"]` (int8) marks the feasible actions, `info["agent_index"]` (int64) is the
    gateway of the task, 0 where no task is left.

    An environment that is seeded once plays the training episodes 0, 1, 2, ... of that seed.
    `reset(options={"workload": w})` plays a given workload in place of the next one.

    Args:
        scenario: a tier's name, the path of a scenario file, or a `Scenario`; none in slots.
        world: another published world of the tier (`paper` has 0..9).
        action_mask: where the mask is: "info", or "observation" for a dict of vector and mask.
        render_mode: None, "ansi" (text), "rgb_array" (picture) or "human" (window).
        reward: "scalar", or "vector" for its parts, float64 (5,), in `reward_space`
            (`edge_marl.REWARD_PARTS`).
        cost: the one of `edge_marl.COSTS` that is `info["cost"]`; all of them are in
            `info["costs"]` then. None counts none.

    Raises:
        ScenarioError: unknown tier, malformed file or argument.
    """

    # Gymnasium declares this an instance variable: no ClassVar.
    metadata = {"render_modes": list(RENDER_MODES), "render_fps": RENDER_FPS}  # noqa: RUF012

    def __init__(
        self,
        scenario: str | Path | Scenario = "paper",
        world: int | None = None,
        action_mask: spaces.MaskIn = "info",
        render_mode: str | None = None,
        reward: SingleReward = "scalar",
        cost: Cost | None = None,
    ) -> None:
        self.scenario = check_single(load_scenario(scenario, world))
        self._flat = action_mask == "info"
        self._in_parts = check_reward(reward, ("scalar", "vector")) == "vector"
        self.observation_space = spaces.observation_space(self.scenario, action_mask)
        self.action_space = spaces.action_space(self.scenario)
        self._set_render_mode(render_mode)
        self._simulator = Simulator(self.scenario)
        self._accounts = open_accounts(self._simulator, cost, self._in_parts)
        self._episodes = RowEpisodes(self._simulator, self._accounts)
        self.reward_space = reward_space(self._in_parts)
        self._plain = self._flat and self._accounts is None and self._window is None
        self.layout = self._simulator.layout
        self._num_actions = self.scenario.num_actions
        self._gateways = spaces.indices_of(self.scenario)
        self._look()

    def _look(self) -> None:
        """Look at the simulator's row."""
        # Bound, not looked up each time: a step is short enough to notice.
        self._copy_of_seen = self._simulator.observations[0].copy
        self._mask = self._simulator.feasible[0]
        self._copy_of_mask = self._mask.copy
        # A memory view gives its number in half the time of an array.
        self._done = memoryview(self._simulator.done)  # type: ignore[arg-type]  # NumPy's stubs
        many = self.scenario.gateways.count > 1
        self._viewer = memoryview(self._simulator.viewers) if many else (0,)  # type: ignore[arg-type]

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: starts over with episode 0 of this seed; None plays the next episode.
            options: `{"workload": Workload}` plays that one; other keys are passed over.

        Raises:
            WorkloadError: if the workload is none, or does not fit the scenario.
        """
        self._start(seed, options)
        if seed is not None:
            super().reset(seed=check_seed(seed))
        if self._window is not None:
            self.render()
        return self._see()

    def _go_on(self, state: State) -> tuple[Any, dict[str, Any]]:
        if self._window is not None:
            self.render()
        return self._see()

    def _see(self) -> tuple[Any, dict[str, Any]]:
        """Return what is seen now."""
        observation: Any = self._copy_of_seen()
        if not self._flat:
            observation = spaces.with_mask(observation, self._mask)
        info = {
            "action_mask": self._copy_of_mask(),
            "agent_index": self._gateways[self._viewer[0]],
        }
        if self._accounts is not None:
            info |= self._accounts.told_of_seats()[0]
        return observation, info

    def step(self, action: int) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take one decision.

        Args:
            action: a whole number of the action space; of any type, also as an array of just one.

        Raises:
            ActionError: if the action is not a whole number of the action space.
            EpisodeOverError: before the first reset, and after the end of an episode.
        """
        try:
            action = index(action)
        except TypeError:
            if (number := as_action(action)) < 0:
                raise self._no_action(action) from None
            action = number
        if not 0 <= action < self._num_actions:
            raise self._no_action(action)
        if self._done[0] != GOING_ON:
            raise EpisodeOverError(
                "step was called where no episode is running: call reset() first, and again after "
                "a step has returned terminated or truncated"
            )
        if not self._plain:
            return self._step_with_all(action)
        reward = self._simulator.step_row(0, action)
        done = self._done[0]
        observation: Any = self._copy_of_seen()
        info = {
            "action_mask": self._copy_of_mask(),
            "agent_index": self._gateways[self._viewer[0]],
        }
        return observation, reward, done == TERMINATED, done == TRUNCATED, info

    def _step_with_all(self, action: int) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a checked decision where more is wanted than a vector, a mask and a number."""
        accounts = self._accounts
        if accounts is not None:
            accounts.before()
        reward: Any = self._simulator.step_row(0, action)
        if accounts is not None:
            accounts.after()
            reward = accounts.parts[0, 0].copy() if self._in_parts else reward
        if self._window is not None:
            self.render()
        observation, info = self._see()
        done = self._done[0]
        return observation, reward, done == TERMINATED, done == TRUNCATED, info

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are feasible now, (A,): sb3-contrib's MaskablePPO asks for it."""
        mask: npt.NDArray[np.bool_] = self._mask.astype(np.bool_)
        return mask

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what looks at this object's simulator, for copies and pickles."""
        looks = ("_copy_of_seen", "_copy_of_mask", "_mask", "_done", "_viewer")
        return {name: value for name, value in self.__dict__.items() if name not in looks}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Have a copy look at its own simulator."""
        self.__dict__.update(state)
        self._look()

    def _no_action(self, action: Any) -> ActionError:
        return ActionError(
            f"action {action!r}: must be a whole number from 0 to {self._num_actions - 1} "
            "(server * services per server + service)"
        )
