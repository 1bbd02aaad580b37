"""`idqn`: Tianshou's double DQN on every gateway's own transitions, one network for all."""

from __future__ import annotations

import numpy as np
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy

from edge_marl.agents.independent.agents import GatewayValues
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.value_based.settings import DqnConfig
from edge_marl.agents.value_based.shared import OnArray, ValueLearner, algorithm_parts
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


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
