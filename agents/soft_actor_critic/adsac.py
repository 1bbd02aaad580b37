"""`adsac`: the attention-based diffusion soft actor-critic.

The ADSAC paper's method as it is described, not as its code was published: attention runs over the
tokens of one observation (the published code's over the other samples of the batch), the targets
have no dropout, and the entropy is that of the policy that acts. Losses: `losses.py`; networks:
`networks/attention.py` and `networks/diffusion.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from edge_marl.agents.networks.attention import TokenCritic
from edge_marl.agents.networks.diffusion import (
    Diffusion,
    DiffusionActor,
    PairDiffusionActor,
    make_schedule,
)
from edge_marl.agents.networks.pair_tokens import PairTokenCritic
from edge_marl.agents.networks.priors import prior_of
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.soft_actor_critic.losses import SacLearner
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["AdsacAgent", "make_learner"]


class AdsacAgent(PolicyAgent[AdsacConfig]):
    """A trained `adsac`.

    `reset(seed)` draws the noise of one decision; every decision of every row is denoised from it
    until the next reset. So an observation always gets the same action, whatever came before it and
    whatever stands in the other rows.
    """

    name = "adsac"
    config_class: ClassVar[type[AdsacConfig]] = AdsacConfig
    actor: Diffusion

    @classmethod
    def build_actor(cls, scenario: Scenario, config: AdsacConfig) -> Diffusion:
        """Return an untrained actor."""
        parts: Any = {
            "width": config.width,
            "schedule": make_schedule(config.denoising_steps, config.beta_min, config.beta_max),
            "denoiser_width": config.denoiser_width,
            "noise_draws": config.noise_draws,
            "attention": config.attention,
        }
        if config.network == "pairs":
            return PairDiffusionActor(scenario, **parts, prior=prior_of(scenario, config))
        return DiffusionActor(ObservationLayout(scenario), **parts)

    def reset(self, seed: int) -> None:
        """Draw the noise that all decisions until the next reset use."""
        generator = torch.Generator().manual_seed(seed)
        self._noise = self.actor.draw_noise(1, generator)

    def log_probabilities(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return log-probabilities (B, A) of the policy in evaluation."""
        values: Tensor = self.actor(observation, mask, *which, noise=self._noise)
        return values


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
