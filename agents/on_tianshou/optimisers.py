"""Adam as Tianshou's algorithms take it."""

from __future__ import annotations

import torch
from tianshou.algorithm.optim import LRSchedulerFactoryLinear, TorchOptimizerFactory

from edge_marl.agents.training.settings import BaselineConfig

__all__ = ["adam", "adam_of", "falling"]


def adam(learning_rate: float, weight_decay: float = 0.0) -> TorchOptimizerFactory:
    """Return Adam with a constant learning rate."""
    return TorchOptimizerFactory(
        torch.optim.Adam, lr=learning_rate, weight_decay=weight_decay, fused=True
    )


def falling(
    optimiser: TorchOptimizerFactory, budget: int, decisions_per_update: int
) -> TorchOptimizerFactory:
    """Return an optimiser whose learning rate falls to 0 over the updates of a budget."""
    schedule = LRSchedulerFactoryLinear(1, budget, decisions_per_update)
    return optimiser.with_lr_scheduler_factory(schedule)


def adam_of(config: BaselineConfig, budget: int) -> TorchOptimizerFactory:
    """Return Adam as a baseline's settings say."""
    optimiser = adam(config.learning_rate, config.weight_decay)
    return falling(optimiser, budget, config.decisions_per_update) if config.falling else optimiser
