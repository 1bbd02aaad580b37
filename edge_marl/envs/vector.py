"""`EdgeAIGC-v0` as a batch: many environments in one array step, on all threads (Gymnasium)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.error import AlreadyPendingCallError, NoAsyncCallError
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from edge_marl.envs import spaces
from edge_marl.envs.copies import Copies
from edge_marl.envs.episodes import ManyEpisodes, RowEpisodes, check_batch
from edge_marl.errors import ActionError, ScenarioError
from edge_marl.kernel.world import GOING_ON, TERMINATED, TRUNCATED
from edge_marl.scenario import Scenario, load_scenario
from edge_marl.simulator import Simulator
from edge_marl.workload.parts import check_seed

__all__ = ["EdgeAIGCVectorEnv"]


class EdgeAIGCVectorEnv(ManyEpisodes, VectorEnv[Any, npt.NDArray[np.int64], npt.NDArray[Any]]):
    """`num_envs` independent copies of `EdgeAIGCEnv`, row by row the same trajectories.

    Seeded with an integer s, row i is seeded with s + i, and plays that seed's episodes 0, 1, ...

    With `SAME_STEP` a row that ends starts its next episode within the same step; its last
    observation and info are in `infos["final_obs"]` and `infos["final_info"]`, where
    `infos["_final_obs"]` is set. With `NEXT_STEP`, which Gymnasium's vector wrappers ask for, it
    starts it in the step after, which passes over the row's action and pays 0. With `DISABLED` it
    stays at its end (reward 0, still terminated or truncated, its actions passed over) until
    `reset(options={"reset_mask": rows})`.

    Args:
        num_envs: number of rows E.
        scenario: a tier's name, the path of a scenario file, or a `Scenario`.
        world: another published world of the tier.
        action_mask: where the mask is: "info", or "observation" for a dict of vector and mask.
        autoreset_mode: `SAME_STEP`, `NEXT_STEP` or `DISABLED`.
        render_mode: must be None; render one environment instead.
        max_episode_steps: must be None; an episode ends as its scenario says.

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
    ) -> None:
        num_envs, self.autoreset_mode = check_batch(num_envs, autoreset_mode, tuple(AutoresetMode))
        self._same_step = self.autoreset_mode == AutoresetMode.SAME_STEP
        self._next_step = self.autoreset_mode == AutoresetMode.NEXT_STEP
        if render_mode is not None:
            raise ScenarioError(
                f"render_mode = {render_mode!r}: a batch does not render; make one environment"
            )
        if max_episode_steps is not None:
            raise ScenarioError(
                f"max_episode_steps = {max_episode_steps!r}: episodes of a batch end as the "
                "scenario says (arrivals.horizon_s); vectorization_mode='sync' can cut them short"
            )
        self.scenario = load_scenario(scenario, world)
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": self.autoreset_mode, "render_modes": []}
        self.render_mode = None
        self.single_observation_space = spaces.observation_space(self.scenario, action_mask)
        self.single_action_space = spaces.action_space(self.scenario)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._flat = action_mask == "info"
        self._simulator = Simulator(self.scenario, num_envs)
        self.layout = self._simulator.layout
        self._every_row = np.ones(num_envs, dtype=np.bool_)
        self._every_row.flags.writeable = False
        self._episodes = RowEpisodes(self._simulator)
        self._seen, self._legal = Copies(), Copies()
        self._pending: tuple[npt.NDArray[np.float64], npt.NDArray[np.intp]] | None = None

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
        chosen = self._before_step(actions)
        rewards = np.empty(self.num_envs)
        over = self._over()
        self._simulator.step(chosen, rewards)
        return self._after_step(rewards, over)

    def step_async(self, actions: npt.ArrayLike) -> None:
        """Begin a step; `step_wait` returns what `step` would have, and has to come next.

        Other threads take the decisions meanwhile, where there are rows and cores for some.

        Raises:
            AlreadyPendingCallError: a step has begun already (Gymnasium's).
            ActionError: as `step`, like EpisodeOverError.
        """
        chosen = self._before_step(actions)
        rewards = np.empty(self.num_envs)
        self._pending = rewards, self._over()
        self._simulator.begin(chosen, rewards)

    def step_wait(self) -> tuple[Any, ...]:
        """Return what the step that was begun gives, as `step` does.

        Raises:
            NoAsyncCallError: none has begun (Gymnasium's).
        """
        if self._pending is None:
            raise NoAsyncCallError("step_wait: no step has begun: call step_async first", "step")
        self._simulator.finish()
        (rewards, over), self._pending = self._pending, None
        return self._after_step(rewards, over)

    def _before_step(self, actions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        self._check_idle("step")
        chosen = self._check_actions(actions)
        self._episodes.check_started()
        return chosen

    def _check_idle(self, call: str) -> None:
        if self._pending is not None:
            raise AlreadyPendingCallError(
                f"{call}: a step has begun and not ended: call step_wait first", "step"
            )

    def _over(self) -> npt.NDArray[np.intp]:
        """Rows that start their next episode in this step."""
        if not self._next_step:
            return np.empty(0, dtype=np.intp)
        return np.flatnonzero(self._simulator.done)  # GOING_ON is 0

    def _after_step(
        self, rewards: npt.NDArray[np.float64], over: npt.NDArray[np.intp]
    ) -> tuple[Any, ...]:
        done = self._simulator.done
        for row in over:
            self._episodes.start(int(row))
        terminated, truncated = done == TERMINATED, done == TRUNCATED
        if self._same_step and (ended := done != GOING_ON).any():
            finals = self._restart(ended)
            return self._see(), rewards, terminated, truncated, self._infos() | finals
        return self._see(), rewards, terminated, truncated, self._infos()

    def action_masks(self) -> npt.NDArray[np.bool_]:
        """Return which actions are feasible now, (E, A)."""
        return self._simulator.feasible.astype(np.bool_)

    def _restart(self, ended: npt.NDArray[np.bool_]) -> dict[str, Any]:
        """Start the next episode in rows that ended; return their last observations and infos."""
        final_obs = np.full(self.num_envs, None, dtype=object)
        masks = self._masks()
        for row in np.flatnonzero(ended):
            last = self._simulator.observations[row].copy()
            final_obs[row] = last if self._flat else spaces.with_mask(last, masks[row])
            self._episodes.start(int(row))
        final_info = {"action_mask": masks, "_action_mask": ended.copy()}
        return {
            "final_obs": final_obs,
            "_final_obs": ended.copy(),
            "final_info": final_info,
            "_final_info": ended,
        }

    def _check_actions(self, actions: npt.ArrayLike) -> npt.NDArray[np.int64]:
        chosen = np.asarray(actions)
        if chosen.shape == (self.num_envs, 1):
            chosen = chosen[:, 0]
        if chosen.shape != (self.num_envs,) or not np.issubdtype(chosen.dtype, np.integer):
            raise ActionError(
                f"actions have shape {chosen.shape} and type {chosen.dtype}: must be "
                f"{self.num_envs} whole numbers"
            )
        count = self.scenario.num_actions
        # As unsigned numbers negative ones are large: one comparison for both ends.
        outside = chosen.astype(np.uint64, copy=False) >= count
        if outside.any():
            wrong = np.flatnonzero(outside & (self._simulator.done == GOING_ON))
            if len(wrong):
                raise ActionError(
                    f"action {chosen[wrong[0]]} of row {wrong[0]}: must be from 0 to {count - 1} "
                    "(server * services per server + service)"
                )
            chosen = np.where(outside, 0, chosen)
        return chosen.astype(np.int64, copy=False)

    def _see(self) -> Any:
        observations = self._seen.of(self._simulator.observations)
        return observations if self._flat else spaces.with_mask(observations, self._masks())

    def _masks(self) -> npt.NDArray[np.int8]:
        return self._legal.of(self._simulator.feasible)

    def _infos(self) -> dict[str, Any]:
        return {"action_mask": self._masks(), "_action_mask": self._every_row}
