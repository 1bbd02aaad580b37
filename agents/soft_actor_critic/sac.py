"""`sac`: Tianshou's discrete soft actor-critic with perceptrons, its policy masked."""

from __future__ import annotations

import numpy as np
from torch import nn

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.networks.pairs import PairCritic
from edge_marl.agents.networks.priors import prior_of
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.soft_actor_critic.agents import SacAgent
from edge_marl.agents.soft_actor_critic.losses import SacLearner
from edge_marl.agents.soft_actor_critic.settings import SacConfig
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


def make_learner(
    scenario: Scenario,
    config: SacConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> SacLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""

    def make_critic() -> nn.Module:
        if config.network == "pairs":
            prior = prior_of(scenario, config, temperature=1.0)
            return PairCritic(scenario, config.hidden, prior)
        return FlatNetwork(ObservationLayout(scenario), config.hidden)

    return SacLearner(
        action_space(scenario),
        config,
        SacAgent.build_actor(scenario, config),
        make_critic,
        UniformReplay(replay_size(config.buffer_size, rows, budget), rows, for_replay),
        budget,
    )
