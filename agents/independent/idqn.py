"""`idqn`: Tianshou's double DQN on every gateway's own transitions, one network for all."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from torch import Tensor, nn

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.networks.pairs import PairNetwork
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.value_based.settings import DqnConfig
from edge_marl.agents.value_based.shared import (
    OnArray,
    ValueAgent,
    ValueLearner,
    algorithm_parts,
)
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["GatewayValues", "IdqnAgent", "make_learner"]


class GatewayValues(nn.Module):
    """Q of each action and, as the last, of doing nothing: the value of a step without a task."""

    def __init__(self, scenario: Scenario, config: DqnConfig) -> None:
        super().__init__()
        if config.network == "pairs":
            self.values: nn.Module = PairNetwork(scenario, config.hidden, nothing=True)
        else:
            layout = ObservationLayout(scenario)
            self.values = FlatNetwork(layout, config.hidden, outputs=scenario.num_actions + 1)

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        """Return Q (B, A) of the single environment's actions, the lowest number where illegal."""
        values: Tensor = self.values(observation)[:, :-1]
        return values.masked_fill(~mask, torch.finfo(values.dtype).min)


class IdqnAgent(ValueAgent):
    """A trained `idqn`: any gateway's policy, and the single environment's."""

    name = "idqn"
    config_class: ClassVar[Any] = DqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: DqnConfig) -> nn.Module:
        """Return an untrained network."""
        return GatewayValues(scenario, config)


def make_learner(
    scenario: Scenario,
    config: DqnConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> ValueLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = GatewayValues(scenario, config)
    policy = DiscreteQLearningPolicy(
        model=OnArray(actor.values), action_space=gateway_action_space(scenario)
    )
    learner = ValueLearner(policy, config)
    learner.actor = actor
    size = replay_size(config.buffer_size, rows, budget, scenario.gateways.count)
    learner.replay = UniformReplay(size, rows, for_replay)
    learner.algorithm = DQN(**algorithm_parts(policy, config, budget))
    return learner
