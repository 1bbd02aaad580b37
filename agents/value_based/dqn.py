"""`dqn`: Tianshou's double DQN on a perceptron, over legal actions only."""

from __future__ import annotations

import numpy as np
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy

from edge_marl.agents.value_based.agents import DqnAgent
from edge_marl.agents.value_based.settings import DqnConfig
from edge_marl.agents.value_based.shared import OnArray, ValueLearner, uniform_learner
from edge_marl.envs.spaces import action_space
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
    actor = DqnAgent.build_actor(scenario, config)
    policy = DiscreteQLearningPolicy(
        model=OnArray(actor.network), action_space=action_space(scenario)
    )
    return uniform_learner(DQN, actor, policy, config, rows, budget, for_replay)
