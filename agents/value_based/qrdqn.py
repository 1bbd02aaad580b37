"""`qrdqn`: Tianshou's DQN that learns quantiles of the return, over legal actions only."""

from __future__ import annotations

import numpy as np
from tianshou.algorithm.modelfree.qrdqn import QRDQN, QRDQNPolicy

from edge_marl.agents.value_based.agents import QrdqnAgent
from edge_marl.agents.value_based.settings import QrdqnConfig
from edge_marl.agents.value_based.shared import OnArray, ValueLearner, uniform_learner
from edge_marl.envs.spaces import action_space
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


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
