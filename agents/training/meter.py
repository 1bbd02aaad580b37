"""The meter of a training: what its last steps and last episodes earned, exploration included."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl.agents.base import TrainProgress

__all__ = ["Meter"]

RECENT_STEPS = 50
"""Steps of all environments that the mean reward is over."""
RECENT_EPISODES = 100
"""Episodes that ended whose returns the mean return is over."""


class Meter:
    """Counts rewards and returns of environments that are played side by side.

    Args:
        num_envs: number of environments E.
    """

    def __init__(self, num_envs: int) -> None:
        self._earned = np.zeros(num_envs)  # by the present episodes
        self._recent: deque[list[float]] = deque(maxlen=RECENT_STEPS)
        self._returns: deque[float] = deque(maxlen=RECENT_EPISODES)

    def count(
        self, rewards: npt.NDArray[np.float64], deciding: int, over: npt.NDArray[np.bool_]
    ) -> None:
        """Count a step of all environments.

        Args:
            rewards: (E,), or (E * G,) where each environment has G rows.
            deciding: decisions that were taken in the step.
            over: (E,) whether the episode ended with it.
        """
        self._recent.append([float(rewards.sum()), float(deciding)])
        self._earned += rewards.reshape(len(self._earned), -1).sum(axis=1)
        self._returns.extend(self._earned[over].tolist())
        self._earned[over] = 0.0

    def progress(self, decisions: int, budget: int, updates: int) -> TrainProgress:
        """Return how far a training is that has counted a step, with its decisions and updates."""
        paid, taken = np.sum(self._recent, axis=0)
        return TrainProgress(
            decisions=decisions,
            budget=budget,
            updates=updates,
            utility_per_task=float(paid / max(taken, 1)),
            mean_return=float(np.mean(self._returns)) if self._returns else None,
        )

    def state(self) -> dict[str, Any]:
        """Return what was counted, as parts of a training's state."""
        return {
            "earned": self._earned,
            "recent": list(self._recent),
            "returns": list(self._returns),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a training's state."""
        self._earned[:] = state["earned"]
        self._recent = deque(state["recent"], RECENT_STEPS)
        self._returns = deque(state["returns"], RECENT_EPISODES)
