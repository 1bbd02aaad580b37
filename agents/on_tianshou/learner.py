"""Algorithms of Tianshou's as the training loop (`loop.py`) updates, keeps and restores them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.algorithm_base import Algorithm, OffPolicyAlgorithm
from tianshou.algorithm.modelfree.sac import AutoAlpha
from tianshou.data import Batch, ReplayBufferManager, to_numpy
from tianshou.utils.torch_utils import torch_train_mode
from torch import nn

from edge_marl.agents.on_tianshou.env import TianshouEnv
from edge_marl.agents.on_tianshou.replay_buffer import replay_state, restore_replay
from edge_marl.agents.on_tianshou.rows import TianshouRows

__all__ = ["Environments", "Learner", "ReplayLearner"]

Environments = TianshouEnv | TianshouRows


class Learner(ABC):
    """An algorithm of Tianshou's, with what the loop has to know of it."""

    actor: nn.Module
    """What the trained agent acts with: (observation (B, D), mask (B, A)) -> scores (B, A)."""
    algorithm: Algorithm[Any, Any]
    replay: ReplayBufferManager
    kept: Batch | None = None
    """What is kept with the last actions, rows first."""

    @abstractmethod
    def update(self, times: int) -> int:
        """Learn from the replay buffer, `times` updates being due; return the gradient steps."""

    def explore(self, spent: float) -> None:  # noqa: B027  most have nothing to set
        """Set how much is explored, now that a share `spent` of the budget is.

        Here nothing: the policies of actor-critic methods are random by themselves.
        """

    def attach(self, env: Environments) -> None:  # noqa: B027  most have nothing to see there
        """Be shown the environments that are played, before the first step.

        For learners that learn from the logs of their episodes.
        """

    def act(self, seen: Batch) -> npt.NDArray[np.int64]:
        """Return an action per row, as training takes them, for `obs` (B, D) and `mask` (B, A)."""
        policy = self.algorithm.policy
        batch: Any = Batch(obs=seen, info=Batch())
        with torch.no_grad(), torch_train_mode(policy, enabled=False):
            chosen = to_numpy(policy(batch, None).act)
        return np.asarray(policy.add_exploration_noise(chosen, batch))

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on, as `state_file.write_state` takes it."""
        algorithm: Any = self.algorithm  # its `state_dict` has no types
        parts: dict[str, Any] = {
            "algorithm": algorithm.state_dict(),
            "schedulers": [scheduler.state_dict() for scheduler in self.algorithm.lr_schedulers],
            "counters": {name: _numbers(part) for name, part in self._counting().items()},
            "replay": self._replay_state(),
        }
        # Tianshou leaves the temperature's optimiser out of the algorithm's state.
        if (optimiser := self._alpha_optimiser()) is not None:
            parts["alpha"] = optimiser.state_dict()
        return parts

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        self.algorithm.load_state_dict(state["algorithm"])
        for scheduler, kept in zip(self.algorithm.lr_schedulers, state["schedulers"], strict=True):
            scheduler.load_state_dict(kept)
        for name, part in self._counting().items():
            vars(part).update(state["counters"][name])
        self._restore_replay(state["replay"])
        if (optimiser := self._alpha_optimiser()) is not None:
            optimiser.load_state_dict(state["alpha"])

    def _replay_state(self) -> dict[str, Any]:
        return replay_state(self.replay)

    def _restore_replay(self, state: dict[str, Any]) -> None:
        restore_replay(self.replay, state)

    def _counting(self) -> dict[str, Any]:
        return {"algorithm": self.algorithm, "policy": self.algorithm.policy}

    def _alpha_optimiser(self) -> torch.optim.Optimizer | None:
        alpha = getattr(self.algorithm, "alpha", None)
        return alpha._optim if isinstance(alpha, AutoAlpha) else None


class ReplayLearner(Learner):
    """A learner that takes each gradient step on transitions drawn from the replay buffer.

    Args:
        batch_size: how many.
    """

    algorithm: OffPolicyAlgorithm[Any]

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size

    def update(self, times: int) -> int:
        """Take gradient steps."""
        for _ in range(times):
            self.algorithm.update(buffer=self.replay, sample_size=self._batch_size)
        return times


def _numbers(part: Any) -> dict[str, Any]:
    """Return an object's own numbers: updates counted, the share of random actions."""
    return {k: v for k, v in vars(part).items() if isinstance(v, int | float)}
