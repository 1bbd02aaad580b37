"""Adam as Tianshou's algorithms take it."""

from __future__ import annotations

import torch
from tianshou.algorithm.optim import LRSchedulerFactoryLinear, TorchOptimizerFactory

from edge_marl.agents.independent.settings import IndependentConfig
from edge_marl.agents.soft_actor_critic.settings import LearnerConfig
from edge_marl.agents.training.settings import BaselineConfig

__all__ = ["adam", "adam_of", "falling_adam"]


def adam(learning_rate: float, weight_decay: float = 0.0) -> TorchOptimizerFactory:
    """Return Adam with a constant learning rate."""
    return TorchOptimizerFactory(
        torch.optim.Adam, lr=learning_rate, weight_decay=weight_decay, fused=True
    )


def falling_adam(
    config: IndependentConfig | LearnerConfig | BaselineConfig, budget: int
) -> TorchOptimizerFactory:
    """Return Adam, its learning rate falling to 0 over the budget's updates."""
    falling = LRSchedulerFactoryLinear(1, budget, config.decisions_per_update)
    return adam(config.learning_rate).with_lr_scheduler_factory(falling)


def adam_of(config: BaselineConfig, budget: int) -> TorchOptimizerFactory:
    """Return Adam as a baseline's settings say."""
    made = adam(config.learning_rate, config.weight_decay)
    if config.falling:
        falling = LRSchedulerFactoryLinear(1, budget, config.decisions_per_update)
        made = made.with_lr_scheduler_factory(falling)
    return made
