"""The trained `sac` and `adsac`: what decides; no training library is loaded here."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_marl.agents.networks.diffusion import (
    Diffusion,
    DiffusionActor,
    PairDiffusionActor,
    make_schedule,
)
from edge_marl.agents.networks.flat import FlatActor
from edge_marl.agents.networks.pairs import PairActor
from edge_marl.agents.networks.priors import prior_of
from edge_marl.agents.policy_agent import DrawingAgent
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig, SacConfig
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["AdsacAgent", "SacAgent"]


class SacAgent(DrawingAgent[SacConfig]):
    """A trained `sac`."""

    name = "sac"
    config_class: ClassVar[type[SacConfig]] = SacConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: SacConfig) -> nn.Module:
        """Return an untrained actor."""
        if config.network == "pairs":
            return PairActor(scenario, config.hidden, prior_of(scenario, config))
        return FlatActor(ObservationLayout(scenario), config.hidden)


class AdsacAgent(DrawingAgent[AdsacConfig]):
    """A trained `adsac`.

    `reset(seed)` draws the noise of one decision; every decision of every row is denoised from it
    until the next reset. So an observation always gets the same probabilities, whatever came before
    it and whatever stands in the other rows, and unless it draws by them the same action.
    """

    name = "adsac"
    depends_on_seed = True
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
        """Draw the noise that all decisions until the next reset use, and start new streams."""
        super().reset(seed)
        generator = torch.Generator().manual_seed(seed)
        self._noise = self._diffusion.draw_noise(1, generator).double()

    @property
    def _diffusion(self) -> Diffusion:
        """What the noise is for."""
        return self.actor

    def log_probabilities(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return log-probabilities (B, A) of the policy in evaluation."""
        values: Tensor = self.actor(observation, mask, *which, noise=self._noise)
        return values
