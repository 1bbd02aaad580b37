"""`sac`: Tianshou's discrete soft actor-critic with perceptrons, its policy masked."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from edge_marl.agents.discrete_sac import SacLearner
from edge_marl.agents.learned import LearnerConfig, SacConfig
from edge_marl.agents.networks import FlatNetwork
from edge_marl.agents.policy import PolicyAgent
from edge_marl.agents.replay import UniformReplay, replay_size
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["TRAINED", "FlatActor", "SacAgent", "make_learner"]


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


TRAINED = SacAgent


def make_learner(
    scenario: Scenario,
    config: SacConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> SacLearner:
    """Return an untrained learner (see `trainer.py`)."""
    layout = ObservationLayout(scenario)
    return SacLearner(
        action_space(scenario),
        config,
        SacAgent.build_actor(scenario, config),
        lambda: FlatNetwork(layout, config.hidden),
        UniformReplay(replay_size(config.buffer_size, rows, budget), rows, for_replay),
        budget,
    )
