"""`qrdqn`: Tianshou's DQN that learns quantiles of the return, over legal actions only."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from tianshou.algorithm.modelfree.qrdqn import QRDQN, QRDQNPolicy
from torch import Tensor, nn

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.value_based.settings import QrdqnConfig
from edge_marl.agents.value_based.shared import (
    OnArray,
    ValueAgent,
    ValueLearner,
    Values,
    uniform_learner,
)
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["QrdqnAgent", "Quantiles", "make_learner"]


class Quantiles(nn.Module):
    """A perceptron from observations (B, D) to Q quantiles of each action, (B, A, Q)."""

    def __init__(self, layout: ObservationLayout, hidden: tuple[int, ...], quantiles: int) -> None:
        super().__init__()
        actions = layout.num_actions
        self.flat = FlatNetwork(layout, hidden, actions * quantiles)
        self._shape = (actions, quantiles)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A, Q)."""
        values: Tensor = self.flat(observation)
        return values.reshape(-1, *self._shape)


class _MeanOfQuantiles(Values):
    def mean(self, outputs: Tensor) -> Tensor:
        return outputs.mean(dim=-1)


class QrdqnAgent(ValueAgent):
    """A trained `qrdqn`."""

    name = "qrdqn"
    config_class: ClassVar[Any] = QrdqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: QrdqnConfig) -> Values:
        """Return an untrained network."""
        layout = ObservationLayout(scenario)
        return _MeanOfQuantiles(Quantiles(layout, config.hidden, config.quantiles))


def make_learner(
    scenario: Scenario,
    config: QrdqnConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> ValueLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = QrdqnAgent.build_actor(scenario, config)
    policy = QRDQNPolicy(model=OnArray(actor.network), action_space=action_space(scenario))
    return uniform_learner(
        QRDQN, actor, policy, config, rows, budget, for_replay, num_quantiles=config.quantiles
    )
