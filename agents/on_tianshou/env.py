"""The single environment as one of Tianshou's, and a cache of what Tianshou compiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium.vector import AutoresetMode
from tianshou.algorithm import algorithm_base
from tianshou.data import Batch
from tianshou.data.buffer import manager
from tianshou.env import BaseVectorEnv

from edge_marl.agents.networks.frames import add_frame
from edge_marl.envs import EdgeAIGCVectorEnv
from edge_marl.scenario import Scenario
from edge_marl.simulator import Simulator

__all__ = ["TianshouEnv", "cache_compiled"]

Rows = npt.NDArray[np.integer[Any]] | list[int] | int | None


class TianshouEnv(BaseVectorEnv):
    """Our vector environment as one of Tianshou's, for a collector that collects steps.

    An observation is a `Batch` of `obs` (E, D) and `mask` (E, A), so that the mask of each state is
    stored with it. The base class's workers, one Python object per environment, are left out.

    Args:
        scenario: the world; of a game, on the event clock.
        num_envs: number of rows E.
        frames: observations F that are shown, side by side: the last ones of the episode, the
            present one last, and zeros from before its start. `obs` is then (E, F * D).
        told: whether an observation also has `which` gateway decides, int64 (E,).
    """

    def __init__(
        self, scenario: Scenario, num_envs: int, frames: int = 1, *, told: bool = False
    ) -> None:
        self._told = told
        self.envs = EdgeAIGCVectorEnv(
            num_envs, scenario=scenario.on_events(), autoreset_mode=AutoresetMode.DISABLED
        )
        self.num_envs = self.env_num = num_envs
        self.most_decisions = num_envs
        """Most decisions that a step can take."""
        self.is_async = False
        self.is_closed = False
        size = self.envs.layout.size
        self._frames = np.zeros((num_envs, frames * size), dtype=np.float32)

    def get_env_attr(self, key: str, id: Rows = None) -> list[Any]:
        """Return an attribute of the single environment, once per row."""
        attributes = {
            "action_space": self.envs.single_action_space,
            "observation_space": self.envs.single_observation_space,
        }
        return [attributes.get(key)] * len(self._rows(id))

    def reset(  # type: ignore[override]  # its collector takes a Batch, its annotation does not
        self, env_id: Rows = None, **kwargs: Any
    ) -> tuple[Batch, npt.NDArray[np.object_]]:
        """Start episodes in the rows `env_id` (None: in all); `seed` as our environment's."""
        rows = self._rows(env_id)
        mask = np.zeros(self.env_num, dtype=np.bool_)
        mask[rows] = True
        observation, info = self.envs.reset(options={"reset_mask": mask}, **kwargs)
        self._frames[rows] = 0.0
        self._frames[rows] = add_frame(self._frames[rows], observation[rows])
        return self._see(info)[rows], _no_infos(len(rows))

    def step(self, action: Any, id: Rows = None) -> tuple[Any, ...]:
        """Take one decision in every row.

        Raises:
            ValueError: if `id` leaves rows out: they would have to stand still, which ours do not.
        """
        if len(rows := self._rows(id)) != self.env_num:
            raise ValueError(
                f"step in {len(rows)} of {self.env_num} rows: all rows step together; collect with "
                "n_step, not with n_episode"
            )
        observation, reward, terminated, truncated, info = self.envs.step(np.asarray(action))
        self._frames = add_frame(self._frames, observation)
        return self._see(info), reward, terminated, truncated, _no_infos(self.env_num)

    def deciding(self, seen: Batch) -> int:
        """Return in how many rows there is something to decide: in all."""
        return self.env_num

    @property
    def simulator(self) -> Simulator:
        """The simulator of all environments (`EdgeAIGCVectorEnv.simulator`)."""
        return self.envs.simulator

    @property
    def tasks(self) -> npt.NDArray[np.int64]:
        """(E,) which task each row decides on now."""
        return self.simulator.task_shown.copy()

    def save_state(self) -> dict[str, Any]:
        """Return where every row stands (`EdgeAIGCVectorEnv.save_state`)."""
        return {"envs": self.envs.save_state(), "frames": self._frames}

    def restore_state(self, state: dict[str, Any]) -> Batch:
        """Go on from a state; return what is seen there."""
        _, info = self.envs.restore_state(state["envs"])
        self._frames = state["frames"].copy()
        return self._see(info)

    def close(self) -> None:
        """Close the environment."""
        self.envs.close()
        self.is_closed = True

    def _see(self, info: dict[str, Any]) -> Batch:
        seen = Batch(obs=self._frames, mask=info["action_mask"].astype(np.bool_))
        if self._told:
            seen.which = np.array(info["agent_index"])
        return seen

    def _rows(self, rows: Rows) -> npt.NDArray[np.integer[Any]]:
        return np.arange(self.env_num) if rows is None else np.atleast_1d(rows)


def _no_infos(count: int) -> npt.NDArray[np.object_]:
    return np.array([{} for _ in range(count)], dtype=object)


def cache_compiled() -> None:
    """Have Numba keep what Tianshou compiles anew in every process: 7 s of processor time."""
    for function in (
        algorithm_base._gae,
        algorithm_base._nstep_return,
        manager._next_index,
        manager._prev_index,
    ):
        function.enable_caching()
