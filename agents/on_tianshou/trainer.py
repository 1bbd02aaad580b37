"""The trainer of agents that learn by an algorithm of Tianshou's."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from edge_marl.agents.base import Training
from edge_marl.agents.training.settings import TianshouConfig
from edge_marl.agents.training.trainer import LearningTrainer, Recipe
from edge_marl.scenario import Api, Scenario

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["TianshouRecipe", "TianshouTrainer"]

TianshouRecipe: TypeAlias = "Recipe[MakeLearner]"


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
    def _recipe(cls) -> TianshouRecipe: ...

    def _begin(self, scenario: Scenario, budget: int, seed: int) -> Training:
        from edge_marl.agents.on_tianshou.loop import TianshouTraining

        agent, make_learner = self._recipe()
        api = self._api(scenario)
        return TianshouTraining(api, scenario, self.config, make_learner, agent, budget, seed)
