"""The trainer of agents that learn by an algorithm of Tianshou's."""

from __future__ import annotations

from importlib import import_module
from typing import ClassVar, Literal

from edge_marl.agents.base import Training, check_budget
from edge_marl.agents.training.trainer import LearningTrainer
from edge_marl.scenario import Scenario

__all__ = ["TianshouTrainer"]


class TianshouTrainer(LearningTrainer):
    """Trains an agent by an algorithm of Tianshou's."""

    plays: ClassVar[Literal["single", "game"]] = "single"
    """Whether it trains on the single environment, or in the game of gateways."""

    def start(self, scenario: Scenario, budget: int, seed: int) -> Training:
        """Return a training of `budget` decisions, at its start (see `LearningTrainer.start`)."""
        check_budget(budget)
        from edge_marl.agents.on_tianshou import loop

        module, start = import_module(self.module), getattr(loop, f"start_{self.plays}")
        started: Training = start(
            scenario, self.config, module.make_learner, module.TRAINED, budget, seed
        )
        return started
