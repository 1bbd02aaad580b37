"""The multi-agent game for Tianshou's collector: every gateway of every environment is a slot."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from gymnasium.vector import AutoresetMode
from tianshou.data import Batch
from tianshou.env import BaseVectorEnv

from edge_marl.agents.networks.sharing import Networks
from edge_marl.envs.rows import EdgeAIGCRows
from edge_marl.scenario import Scenario
from edge_marl.simulator.gateways import GatewaySimulator

__all__ = ["TianshouRows"]

Slots = npt.NDArray[np.integer[Any]] | list[int] | int | None


class TianshouRows(BaseVectorEnv):
    """`EdgeAIGCRows` as one of Tianshou's vector environments, for a collector that collects steps.

    Slot e * G + g is gateway g of environment e. All slots step together, and those of one
    environment end and are reset together, so that a `VectorReplayBuffer` of E * G parts holds each
    gateway's own transitions one after the other: its observation, its reward, its *own* next
    observation. (Tianshou's `PettingZooEnv` takes turns: what is stored as next is what the next
    agent sees, and all but the last agent are stored a reward of 0.)

    An observation is a `Batch` of `obs` (E * G, D) and `mask` (E * G, S * V + 1). The base class's
    workers, one Python object per slot, are left out.

    Args:
        scenario: the world, its gateways and clock.
        num_envs: number of environments E.
        networks: what rows are told besides (`Networks.of`): an observation then also has `which`,
            int64 (E * G,).
        reward: "team", the mean over gateways, or "local", of a gateway's own tasks.
    """

    def __init__(
        self,
        scenario: Scenario,
        num_envs: int,
        networks: Networks | None = None,
        reward: Literal["team", "local"] = "team",
    ) -> None:
        self._networks = networks if networks and networks.told else None
        self.rows = EdgeAIGCRows(
            num_envs,
            scenario=scenario,
            reward=reward,
            autoreset_mode=AutoresetMode.DISABLED,
        )
        self.num_envs = num_envs
        self.env_num = num_envs * self.rows.num_gateways
        slotted = self.rows.scenario.clock.slot_ms > 0
        self.most_decisions = self.env_num if slotted else num_envs
        """Most decisions that a step can take: on the event clock, one per environment."""
        self.is_async = False
        self.is_closed = False

    def get_env_attr(self, key: str, id: Slots = None) -> list[Any]:
        """Return an attribute of a gateway's, once per slot."""
        attributes = {
            "action_space": self.rows.single_action_space,
            "observation_space": self.rows.single_observation_space,
        }
        return [attributes.get(key)] * len(self._slots(id))

    def reset(  # type: ignore[override]  # its collector takes a Batch, its annotation does not
        self, env_id: Slots = None, **kwargs: Any
    ) -> tuple[Batch, npt.NDArray[np.object_]]:
        """Start episodes in the slots `env_id` (None: in all); `seed` as in `EdgeAIGCRows`.

        Raises:
            ValueError: if some gateways of an environment are in `env_id` and others are not.
        """
        slots = self._slots(env_id)
        wanted = np.zeros((self.rows.num_envs, self.rows.num_gateways), dtype=np.bool_)
        wanted.flat[slots] = True
        mask = wanted[:, 0]
        if (wanted != wanted[:, :1]).any():
            raise ValueError(
                f"reset of {len(slots)} slots with parts of environments: the gateways of an "
                "environment start together; give all of them"
            )
        observation, info = self.rows.reset(options={"reset_mask": mask}, **kwargs)
        return self._see(observation, info)[slots], _no_infos(len(slots))

    def step(self, action: Any, id: Slots = None) -> tuple[Any, ...]:
        """Take a choice of every slot.

        Raises:
            ValueError: if `id` leaves slots out: they would have to stand still, which ours do not.
        """
        if len(slots := self._slots(id)) != self.env_num:
            raise ValueError(
                f"step in {len(slots)} of {self.env_num} slots: all slots step together; collect "
                "with n_step, not with n_episode"
            )
        gateways = self.rows.num_gateways
        choices = np.asarray(action).reshape(-1, gateways)
        observation, reward, terminated, truncated, info = self.rows.step(choices)
        return (
            self._see(observation, info),
            reward.ravel(),
            terminated.repeat(gateways),
            truncated.repeat(gateways),
            _no_infos(self.env_num),
        )

    def deciding(self, seen: Batch) -> int:
        """Return how many gateways have a task."""
        return int((~seen.mask[:, -1]).sum())

    @property
    def simulator(self) -> GatewaySimulator:
        """The simulator of all environments (`EdgeAIGCRows.game`)."""
        return self.rows.game

    @property
    def tasks(self) -> npt.NDArray[np.int64]:
        """(E * G,) which task each slot decides on now, or `kernel.NOWHERE`."""
        return self.simulator.first_waiting.ravel()

    def save_state(self) -> dict[str, Any]:
        """Return where every environment stands (`EdgeAIGCRows.save_state`)."""
        return self.rows.save_state()

    def restore_state(self, state: dict[str, Any]) -> Batch:
        """Go on from a state; return what is seen there."""
        return self._see(*self.rows.restore_state(state))

    def close(self) -> None:
        """Nothing is open."""
        self.is_closed = True

    def _slots(self, slots: Slots) -> npt.NDArray[np.integer[Any]]:
        return np.arange(self.env_num) if slots is None else np.atleast_1d(slots)

    def _see(self, observation: npt.NDArray[np.float32], info: dict[str, Any]) -> Batch:
        mask = info["action_mask"].astype(np.bool_)
        seen = Batch(obs=observation.reshape(self.env_num, -1), mask=mask.reshape(self.env_num, -1))
        if self._networks is not None:
            gateways = torch.tensor(info["agent_index"]).flatten()
            seen.which = self._networks.of(torch.from_numpy(seen.obs), gateways).numpy()
        return seen


def _no_infos(count: int) -> npt.NDArray[np.object_]:
    return np.array([{} for _ in range(count)], dtype=object)
