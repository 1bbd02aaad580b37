"""`EdgeAIGC-v0` as a batch: many environments in one array step, on all threads (Gymnasium)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import NoAsyncCallError
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from edge_marl.envs import spaces
from edge_marl.envs.accounts import Cost, open_accounts, reward_space
from edge_marl.envs.arguments import check_reward
from edge_marl.envs.batch import ManyEpisodes, Room
from edge_marl.envs.episodes import check_batch, check_single
from edge_marl.envs.single import SingleReward
from edge_marl.errors import ActionError, ScenarioError
from edge_marl.kernel import batch
from edge_marl.kernel.world import GOING_ON, TERMINATED, TRUNCATED
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator import Simulator
from edge_marl.workload.parts import check_seed

__all__ = ["EdgeAIGCVectorEnv"]

RESTARTS = {
    AutoresetMode.DISABLED: batch.NOT_BY_ITSELF,
    AutoresetMode.SAME_STEP: batch.SAME_STEP,
    AutoresetMode.NEXT_STEP: batch.NEXT_STEP,
}


class EdgeAIGCVectorEnv(ManyEpisodes, VectorEnv[Any, npt.NDArray[np.int64], npt.NDArray[Any]]):
    """`num_envs` independent copies of `EdgeAIGCEnv`, row by row the same trajectories.

    Seeded with an integer s, row i is seeded with s + i, and plays that seed's episodes 0, 1, ...

    With `SAME_STEP` a row that ends starts its next episode within the same step; its last
    observation and info are in `infos["final_obs"]` and `infos["final_info"]`, where
    `infos["_final_obs"]` is set. With `NEXT_STEP`, which Gymnasium's vector wrappers ask for, it
    starts it in the step after, which passes over the row's action and pays 0. With `DISABLED` it
    stays at its end (reward 0, still terminated or truncated, its actions passed over) until
    `reset(options={"reset_mask": rows})`.

    `infos["action_mask"]` int8 (E, A) and `infos["agent_index"]` int64 (E,): as the single
    environment's. With `cost`, `infos["cost"]` is float64 (E,), and so is each of
    `infos["costs"]`: of the step, as the rewards are, also where the next episode has begun in it.

    Args:
        num_envs: number of rows E.
        scenario: a tier's name, the path of a scenario file, or a `Scenario`; none in slots.
        world: another published world of the tier.
        action_mask: where the mask is: "info", or "observation" for a dict of vector and mask.
        autoreset_mode: `SAME_STEP`, `NEXT_STEP` or `DISABLED`.
        render_mode: must be None; render one environment instead.
        max_episode_steps: must be None; an episode ends as its scenario says.
        reward: "scalar", or "vector" for its parts, (E, 5) (`EdgeAIGCEnv`).
        cost: as in `EdgeAIGCEnv`.

    Raises:
        ScenarioError: unknown tier, malformed file or argument.
    """

    metadata: dict[str, Any]

    def __init__(
        self,
        num_envs: int = 1,
        scenario: str | Path | Scenario = "paper",
        world: int | None = None,
        action_mask: spaces.MaskIn = "info",
        autoreset_mode: AutoresetMode = AutoresetMode.SAME_STEP,
        render_mode: None = None,
        max_episode_steps: None = None,
        reward: SingleReward = "scalar",
        cost: Cost | None = None,
    ) -> None:
        num_envs, self.autoreset_mode = check_batch(num_envs, autoreset_mode, tuple(AutoresetMode))
        if render_mode is not None:
            raise ScenarioError(
                f"render_mode = {render_mode!r}: a batch does not render; make one environment"
            )
        if max_episode_steps is not None:
            raise ScenarioError(
                f"max_episode_steps = {max_episode_steps!r}: episodes of a batch end as the "
                "scenario says (arrivals.horizon_s); vectorization_mode='sync' can cut them short"
            )
        self.scenario = check_single(load_scenario(scenario, world))
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        self.render_mode = None
        self.single_observation_space = spaces.observation_space(self.scenario, action_mask)
        self.single_action_space = spaces.action_space(self.scenario)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._flat = action_mask == "info"
        self._in_parts = check_reward(reward, ("scalar", "vector")) == "vector"
        simulator = Simulator(self.scenario, num_envs)
        accounts = open_accounts(simulator, cost, self._in_parts)
        self._open(simulator, RESTARTS[self.autoreset_mode], accounts)
        self.single_reward_space = reward_space(self._in_parts)
        self.reward_space = batch_space(self.single_reward_space, num_envs)
        self.layout = self._simulator.layout
        self._every_row = np.ones(num_envs, dtype=np.bool_)
        self._every_row.flags.writeable = False

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every row, or in those of a mask.

        Args:
            seed: row i starts over with episode 0 of seed + i (or of seed[i]); None plays each
                row's next episode.
            options: `{"reset_mask": bool (E,)}` resets those rows only; `{"workloads": [...]}`
                plays row i's workload, None its next episode; other keys are passed over.

        Raises:
            WorkloadError: wrong number or kind of workloads, seeds or mask.
        """
        self._check_idle("reset")
        self._episodes.reset(seed, options)
        if isinstance(seed, int | np.integer):
            super().reset(seed=check_seed(seed))
        return self._see(), self._infos()

    def step(
        self, actions: npt.ArrayLike
    ) -> tuple[
        Any,
        npt.NDArray[Any],
        npt.NDArray[Any],
        npt.NDArray[Any],
        dict[str, Any],
    ]:
        """Take one decision in every row.

        Args:
            actions: (E,) or (E, 1) whole numbers in the action space; of a row whose episode is
                over any.

        Raises:
            ActionError: wrong number or kind of actions, or one outside the action space.
            EpisodeOverError: before every row has been reset.
        """
        chosen, room = self._before_step(actions)
        self._simulator.step(chosen, *room)
        return self._after_step(room)

    def step_async(self, actions: npt.ArrayLike) -> None:
        """Begin a step; `step_wait` returns what `step` would have, and has to come next.

        Other threads take the decisions meanwhile, where there are rows and cores for some.

        Raises:
            AlreadyPendingCallError: a step has begun already (Gymnasium's).
            ActionError: as `step`, like EpisodeOverError.
        """
        chosen, self._pending = self._before_step(actions)
        self._simulator.begin(chosen, *self._pending)

    def step_wait(self) -> tuple[Any, ...]:
        """Return what the step that was begun gives, as `step` does.

        Raises:
            NoAsyncCallError: none has begun (Gymnasium's).
        """
        if self._pending is None:
            raise NoAsyncCallError("step_wait: no step has begun: call step_async first", "step")
        self._simulator.finish()
        room, self._pending = self._pending, None
        return self._after_step(room)

    def _before_step(self, actions: npt.ArrayLike) -> tuple[npt.NDArray[np.int64], Room]:
        self._check_idle("step")
        chosen = self._check_actions(actions)
        self._episodes.check_started()
        if self._accounts is not None:
            self._accounts.before()
        return chosen, self._room((self.num_envs,))

    def _after_step(self, room: Room) -> tuple[Any, ...]:
        rewards, seen, masks = room
        if self._accounts is not None:
            self._accounts.after()
            rewards = self._accounts.parts[:, 0].copy() if self._in_parts else rewards
        self._start_left(room)
        ended = self._simulator.stepper.ended
        infos = self._infos_with(masks)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and np.count_nonzero(ended):
            infos |= self._finals(ended != GOING_ON)
        # Of two arrays: who writes to the observation's mask does not write to that of the infos.
        observations = seen if self._flat else spaces.with_mask(seen, self._legal.of(masks))
        return observations, rewards, ended == TERMINATED, ended == TRUNCATED, infos

    @property
    def simulator(self) -> Simulator:
        """The simulator of all rows: for learners, which may see all of their own episodes."""
        return self._simulator

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are feasible now, (E, A)."""
        return self._simulator.feasible.astype(np.bool_)

    def _finals(self, ended: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """Return the last observations and infos of rows that ended, whose next episodes began."""
        stepper = self._simulator.stepper
        rows = np.flatnonzero(ended)
        masks = np.zeros_like(stepper.last_masks)
        masks[rows] = stepper.last_masks[rows]
        final_obs = np.empty(self.num_envs, dtype=object)  # of None
        for row, last in zip(rows.tolist(), stepper.last_seen[rows], strict=True):
            final_obs[row] = last if self._flat else spaces.with_mask(last, masks[row].copy())
        return {
            "final_obs": final_obs,
            "_final_obs": ended,
            "final_info": {
                "action_mask": masks,
                "_action_mask": ended.copy(),
                "agent_index": np.where(ended, self._simulator.last_viewers, 0),
                "_agent_index": ended.copy(),
            },
            "_final_info": ended.copy(),
        }

    def _check_actions(self, actions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        chosen = np.asarray(actions)
        if chosen.shape == (self.num_envs, 1):
            chosen = chosen[:, 0]
        if chosen.shape != (self.num_envs,) or chosen.dtype.kind not in "iu":
            raise ActionError(
                f"actions have shape {chosen.shape} and type {chosen.dtype}: must be "
                f"{self.num_envs} whole numbers"
            )
        count = self.scenario.num_actions
        chosen = chosen.astype(np.int64, copy=False)
        # As unsigned numbers negative ones are large: one comparison for both ends.
        if np.maximum.reduce(chosen.view(np.uint64)) >= count:
            outside = (chosen < 0) | (chosen >= count)
            wrong = np.flatnonzero(outside & (self._simulator.done == GOING_ON))
            if len(wrong):
                raise ActionError(
                    f"action {chosen[wrong[0]]} of row {wrong[0]}: must be from 0 to {count - 1} "
                    "(server * services per server + service)"
                )
            chosen = np.where(outside, 0, chosen)
        return chosen

    def _see(self) -> Any:
        observations = self._seen.of(self._simulator.observations)
        return observations if self._flat else spaces.with_mask(observations, self._masks())

    def _masks(self) -> npt.NDArray[np.int8]:
        return self._legal.of(self._simulator.feasible)

    def _infos(self) -> dict[str, Any]:
        return self._infos_with(self._masks())

    def _infos_with(self, masks: npt.NDArray[np.int8]) -> dict[str, Any]:
        infos: dict[str, Any] = {
            "action_mask": masks,
            "_action_mask": self._every_row,
            "agent_index": self._simulator.viewers.copy(),
            "_agent_index": self._every_row,
        }
        if self._accounts is not None and (told := self._accounts.told()):
            costs = {name: cost[:, 0] for name, cost in told["costs"].items()}
            of_rows = dict.fromkeys((f"_{name}" for name in costs), self._every_row)
            infos |= {"cost": told["cost"][:, 0], "_cost": self._every_row}
            infos |= {"costs": costs | of_rows, "_costs": self._every_row}
        return infos
