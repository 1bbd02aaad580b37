"""The trainer of agents that learn by an algorithm of Tianshou's."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from edge_marl.agents.base import Training
from edge_marl.agents.training.settings import TianshouConfig
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.scenario import Api, Scenario

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["TianshouTrainer"]


class TianshouTrainer(LearningTrainer):
    """Trains an agent by an algorithm of Tianshou's."""

    config: TianshouConfig
    api: ClassVar[Api] = "single"
    """What it trains on: the single environment, or the game of gateways."""

    def _api(self, scenario: Scenario) -> Api:
        """Return what it trains on in a scenario."""
        return self.api

    @classmethod
    @abstractmethod
    def _make_learner(cls) -> MakeLearner:
        """Import, and Tianshou with it, and return what makes an untrained learner."""

    def _begin(self, scenario: Scenario, budget: int, seed: int) -> Training:
        from edge_marl.agents.on_tianshou.loop import TianshouTraining

        return TianshouTraining(
            self._api(scenario),
            scenario,
            self.config,
            self._make_learner(),
            self._agent(),
            budget,
            seed,
        )
