"""`sac`: Tianshou's discrete soft actor-critic with perceptrons, its policy masked."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from edge_marl.agents.base import Progress
from edge_marl.agents.learned import LearnerConfig, SacConfig
from edge_marl.agents.networks import FlatNetwork
from edge_marl.agents.policy import PolicyAgent
from edge_marl.agents.training import train_actor
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["FlatActor", "SacAgent", "train_sac"]


class FlatActor(nn.Module):
    """Log-probabilities of all actions from the flat observation."""

    def __init__(self, layout: ObservationLayout, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.logits = FlatNetwork(layout, hidden)

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        """Return log-probabilities (B, A); illegal actions have probability 0."""
        logits = self.logits(observation)
        # finfo.min and not -inf: p log p of an illegal action then is 0, with a gradient of 0.
        logits = logits.masked_fill(~mask, torch.finfo(logits.dtype).min)
        values: Tensor = logits.log_softmax(dim=-1)
        return values


class SacAgent(PolicyAgent[SacConfig]):
    """A trained `sac`."""

    name = "sac"
    deterministic = True
    config_class: ClassVar[type[LearnerConfig]] = SacConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: SacConfig) -> nn.Module:
        """Return an untrained actor."""
        return FlatActor(ObservationLayout(scenario), config.hidden)


def train_sac(
    scenario: Scenario, config: SacConfig, budget: int, seed: int, progress: Progress
) -> SacAgent:
    """Return a `sac` trained on `budget` decisions."""
    actor = train_actor(
        scenario,
        config,
        lambda: SacAgent.build_actor(scenario, config),
        lambda: FlatNetwork(ObservationLayout(scenario), config.hidden),
        budget,
        seed,
        progress,
    )
    return SacAgent(scenario, config, actor)
