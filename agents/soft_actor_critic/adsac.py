"""`adsac`: the attention-based diffusion soft actor-critic.

The ADSAC paper's method as it is described, not as its code was published: attention runs over the
tokens of one observation (the published code's over the other samples of the batch), the targets
have no dropout, and the entropy is that of the policy that acts. Losses: `losses.py`; networks:
`networks/attention.py` and `networks/diffusion.py`.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from edge_marl.agents.networks.attention import TokenCritic
from edge_marl.agents.networks.pair_tokens import PairTokenCritic
from edge_marl.agents.networks.priors import prior_of
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.soft_actor_critic.agents import AdsacAgent
from edge_marl.agents.soft_actor_critic.losses import SacLearner
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


def make_learner(
    scenario: Scenario,
    config: AdsacConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> SacLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""

    def make_critic() -> nn.Module:
        if config.network == "pairs":
            prior = prior_of(scenario, config, temperature=1.0)
            return PairTokenCritic(scenario, config.width, attention=config.attention, prior=prior)
        layout = ObservationLayout(scenario)
        return TokenCritic(layout, config.width, attention=config.attention)

    return SacLearner(
        action_space(scenario),
        config,
        AdsacAgent.build_actor(scenario, config),
        make_critic,
        UniformReplay(replay_size(config.buffer_size, rows, budget), rows, for_replay),
        budget,
    )
