"""Adam as Tianshou's algorithms take it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tianshou.algorithm.optim import LRSchedulerFactoryLinear, TorchOptimizerFactory

from edge_marl.agents.networks.sharing import cut_each
from edge_marl.agents.training.settings import BaselineConfig

__all__ = ["AdamOfEach", "adam", "adam_of", "falling"]


def adam(learning_rate: float, weight_decay: float = 0.0) -> TorchOptimizerFactory:
    """Return Adam with a constant learning rate."""
    return TorchOptimizerFactory(
        torch.optim.Adam, lr=learning_rate, weight_decay=weight_decay, fused=True
    )


class AdamOfEach(torch.optim.Adam):
    """Adam on stacked weights of K networks (`ForEach`), each network's gradient cut by itself.

    Args:
        params: weights, the first axis of each the network.
        most: norm that a network's gradient is cut to.
        others: as Adam's.
    """

    def __init__(self, params: Any, most: float, **others: Any) -> None:
        super().__init__(params, **others)
        self._most = most

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step."""
        cut_each(self.param_groups[0]["params"], self._most)
        return super().step(closure)


def falling(
    optimiser: TorchOptimizerFactory, budget: int, decisions_per_update: int
) -> TorchOptimizerFactory:
    """Return an optimiser whose learning rate falls to 0 over the updates of a budget."""
    schedule = LRSchedulerFactoryLinear(1, budget, decisions_per_update)
    return optimiser.with_lr_scheduler_factory(schedule)


def adam_of(
    config: BaselineConfig, budget: int, most_each: float | None = None
) -> TorchOptimizerFactory:
    """Return Adam as a baseline's settings say; `most_each` is for `AdamOfEach`."""
    optimiser = adam(config.learning_rate, config.weight_decay)
    if most_each is not None:
        optimiser = TorchOptimizerFactory(
            AdamOfEach,
            most=most_each,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
    return falling(optimiser, budget, config.decisions_per_update) if config.falling else optimiser
