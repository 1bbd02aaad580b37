"""The trained `adsac-published` and `d2sac`: what decides; no training library is loaded here.

Kept to tell what was published from what is described: see `docs/agents.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from edge_marl.agents.base import legal_actions
from edge_marl.agents.networks.diffusion import make_schedule
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.published_diffusion.networks import (
    AttentionDenoiser,
    DiffusionPolicy,
    PlainDenoiser,
)
from edge_marl.agents.published_diffusion.settings import PublishedConfig
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["AdsacPublishedAgent", "D2sacAgent", "PublishedAgent"]


class PublishedAgent(PolicyAgent[PublishedConfig]):
    """Acts by the most probable action, denoised from noise of its own for every decision.

    Each row draws from a generator of its own, and attention takes each row by itself, as where
    tasks come one by one. So the actions of a row are the same in any batch, and for the same seed.
    """

    stateless = False
    config_class: ClassVar[Any] = PublishedConfig
    denoiser: ClassVar[type[AttentionDenoiser | PlainDenoiser]]
    actor: DiffusionPolicy

    @classmethod
    def build_actor(cls, scenario: Scenario, config: PublishedConfig) -> DiffusionPolicy:
        """Return an untrained policy."""
        schedule = make_schedule(config.denoising_steps, config.beta_min, config.beta_max)
        actions = scenario.num_actions
        network = cls.denoiser(ObservationLayout(scenario).size, actions)
        return DiffusionPolicy(network, schedule, actions)

    def reset(self, seed: int) -> None:
        """Start the generators of all rows anew."""
        self._seed = seed
        self._rows: list[np.random.Generator] = []

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the most probable legal action of each row."""
        rows = len(observation)
        for row in range(len(self._rows), rows):
            self._rows.append(np.random.default_rng([self._seed, row]))
        shape = self.actor.noise_shape
        noise = np.stack([generator.standard_normal(shape) for generator in self._rows[:rows]])
        legal = torch.from_numpy(legal_actions(info, rows, self.scenario))
        seen = torch.tensor(observation, dtype=torch.float64)
        with torch.inference_mode():
            return self.most_probable(self.actor(seen, legal, torch.from_numpy(noise), alone=True))


class AdsacPublishedAgent(PublishedAgent):
    """A trained `adsac-published`: with attention, over the batch in training."""

    name = "adsac-published"
    denoiser = AttentionDenoiser


class D2sacAgent(PublishedAgent):
    """A trained `d2sac`: of perceptrons."""

    name = "d2sac"
    denoiser = PlainDenoiser
