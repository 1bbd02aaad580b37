"""`a2c`: Tianshou's synchronous advantage actor-critic with a masked perceptron."""

from __future__ import annotations

import numpy as np
from tianshou.algorithm.modelfree.a2c import A2C

from edge_marl.agents.policy_gradient.agents import A2cAgent
from edge_marl.agents.policy_gradient.settings import A2cConfig
from edge_marl.agents.policy_gradient.shared import (
    OncePerUpdate,
    OnPolicyLearner,
    actor_critic,
    rollout_of,
)
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


class _A2C(OncePerUpdate, A2C):
    """Tianshou's, which sees each observation once."""


def make_learner(
    scenario: Scenario, config: A2cConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> OnPolicyLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = A2cAgent.build_actor(scenario, config)
    learner = OnPolicyLearner(scenario, actor, rollout_of(config, rows), config)
    learner.algorithm = _A2C(**actor_critic(learner.policy, scenario, config, budget))
    learner.algorithm.centred = config.centred
    return learner
