"""`ppo`: Tianshou's proximal policy optimisation with a masked perceptron."""

from __future__ import annotations

import numpy as np
from tianshou.algorithm.modelfree.ppo import PPO

from edge_marl.agents.policy_gradient.agents import PpoAgent
from edge_marl.agents.policy_gradient.settings import PpoConfig
from edge_marl.agents.policy_gradient.shared import (
    OncePerUpdate,
    OnPolicyLearner,
    actor_critic,
    rollout_of,
)
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


class _PPO(OncePerUpdate, PPO):
    """Tianshou's, which sees each observation once."""


def make_learner(
    scenario: Scenario, config: PpoConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> OnPolicyLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = PpoAgent.build_actor(scenario, config)
    learner = OnPolicyLearner(scenario, actor, rollout_of(config, rows), config)
    parts = actor_critic(learner.policy, scenario, config, budget)
    learner.algorithm = _PPO(eps_clip=config.clip, advantage_normalization=True, **parts)
    learner.algorithm.centred = config.centred
    return learner
