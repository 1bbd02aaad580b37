"""A learner of one's own that needs no learning library: it draws its weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge_marl import ObservationLayout
from edge_marl.agents import Agent, Trainer, TrainProgress
from edge_marl.agents.base import Progress
from edge_marl.agents.checkpoint import read_checkpoint, write_checkpoint
from edge_marl.scenario import Scenario


class Drawn(Agent):
    """The action that a random linear map of the observation is largest for."""

    name = "drawn"
    deterministic = True

    def __init__(self, scenario: Scenario, weights: npt.NDArray[np.float64]) -> None:
        super().__init__(scenario)
        self._weights = weights

    def reset(self, seed: int) -> None:
        pass

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        worth = (observation[:, :, None] * self._weights).sum(axis=1)
        best: npt.NDArray[np.int64] = worth.argmax(axis=1)
        return best

    def save(self, folder: str | Path) -> None:
        write_checkpoint(Path(folder), self.name, self.scenario, {}, {"weights": self._weights})


class DrawsWeights(Trainer):
    """Trains `Drawn`."""

    def train(
        self, scenario: Scenario, budget: int, seed: int, progress: Progress = lambda now: None
    ) -> Agent:
        progress(TrainProgress(budget, budget, 1, 0.0, None))
        shape = (ObservationLayout(scenario).size, scenario.num_actions)
        weights = np.random.Generator(np.random.PCG64(seed)).normal(size=shape)
        return Drawn(scenario, weights)

    @classmethod
    def load(cls, folder: str | Path, scenario: Scenario, *, transfer: bool = False) -> Agent:
        _, weights = read_checkpoint(Path(folder), Drawn.name, scenario, transfer)
        return Drawn(scenario, weights["weights"])
