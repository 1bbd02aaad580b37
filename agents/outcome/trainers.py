"""The trainer of `outcome`."""

from __future__ import annotations

from edge_marl.agents.on_tianshou.trainer import TianshouRecipe, TianshouTrainer
from edge_marl.agents.outcome.settings import OutcomeConfig
from edge_marl.agents.registry import register
from edge_marl.agents.training.trainer import Recipe
from edge_marl.scenario import Api, Scenario

__all__ = ["OutcomeTrainer"]


@register("outcome")
class OutcomeTrainer(TianshouTrainer):
    """Regression of what a decision's own task brings; alone, or as every gateway of a game."""

    config: OutcomeConfig
    config_class = OutcomeConfig

    def _api(self, scenario: Scenario) -> Api:
        """Return the game where gateways decide at once, or are not to share one network."""
        return scenario.api if self.config.sharing == "all" else "parallel"

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.outcome.outcome import OutcomeAgent, make_learner

        return Recipe(OutcomeAgent, make_learner)
