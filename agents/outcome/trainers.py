"""The trainer of `outcome`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.outcome.settings import OutcomeConfig
from edge_marl.agents.registry import register
from edge_marl.scenario import Api, Scenario

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

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
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.outcome.agents import OutcomeAgent

        return OutcomeAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.outcome.outcome import make_learner

        return make_learner
