"""The trainer of `adp`."""

from __future__ import annotations

from typing import Any

from edge_marl.agents.base import Training
from edge_marl.agents.planning.settings import AdpConfig
from edge_marl.agents.registry import register
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.scenario import Scenario

__all__ = ["AdpTrainer"]


@register("adp")
class AdpTrainer(LearningTrainer):
    """`bid-price` with prices that follow the load, fitted by direct search: see `value.py`.

    A trainer, and not a heuristic that fits at its first reset: what it spends is counted in
    decisions as that of the other learners, and a scenario of one's own costs no wait.

    Raises (from `start` on):
        AgentError: if there is no bound for the scenario, and so no prices to start from.
    """

    config: AdpConfig
    config_class = AdpConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.planning.value import AdpAgent

        return AdpAgent

    def _begin(self, scenario: Scenario, budget: int, seed: int) -> Training:
        from edge_marl.agents.planning.fitting import AdpTraining

        return AdpTraining(scenario, self.config, budget, seed)
