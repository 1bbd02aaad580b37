"""`drqn`: double DQN with an LSTM over the last observations, over legal actions only.

A decision is made from the last F observations of the episode, the present one last; before the
episode's start there are zeros. So what a recurrent network remembers is bounded and the same in
training and in evaluation, whatever part of an episode a transition was taken from. (The published
baseline stacks four frames too.)
"""

from __future__ import annotations

import numpy as np
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy

from edge_marl.agents.value_based.agents import DrqnAgent
from edge_marl.agents.value_based.settings import DrqnConfig
from edge_marl.agents.value_based.shared import OnArray, ValueLearner, uniform_learner
from edge_marl.envs.spaces import action_space
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


def make_learner(
    scenario: Scenario,
    config: DrqnConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> ValueLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = DrqnAgent.build_actor(scenario, config)
    policy = DiscreteQLearningPolicy(
        model=OnArray(actor.network), action_space=action_space(scenario)
    )
    return uniform_learner(DQN, actor, policy, config, rows, budget, for_replay)
