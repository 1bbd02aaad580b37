"""`drqn`: double DQN with an LSTM over the last observations, over legal actions only.

A decision is made from the last F observations of the episode, the present one last; before the
episode's start there are zeros. So what a recurrent network remembers is bounded and the same in
training and in evaluation, whatever part of an episode a transition was taken from. (The published
baseline stacks four frames too.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from torch import Tensor, nn

from edge_marl.agents.networks.features import TokenFeatures
from edge_marl.agents.on_tianshou.env import add_frame
from edge_marl.agents.value_based.settings import DrqnConfig
from edge_marl.agents.value_based.shared import (
    OnArray,
    ValueAgent,
    ValueLearner,
    Values,
    uniform_learner,
)
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["DrqnAgent", "Recurrent", "make_learner"]


class Recurrent(nn.Module):
    """Q (B, A) from the last F observations, side by side (B, F * D), the present one last."""

    def __init__(self, layout: ObservationLayout, config: DrqnConfig) -> None:
        super().__init__()
        self.features = TokenFeatures(layout)
        per_server = self.features.server_size + layout.num_choices * self.features.service_size
        inputs = self.features.task_size + per_server * layout.num_servers
        width = config.hidden[0]
        self._frames = config.frames
        self.inner = nn.Linear(inputs, width)
        self.memory = nn.LSTM(width, width, num_layers=len(config.hidden), batch_first=True)
        self.values = nn.Linear(width, layout.num_actions)

    def forward(self, frames: Tensor) -> Tensor:
        """Return (B, A)."""
        one_by_one = frames.reshape(len(frames) * self._frames, -1)
        flat = torch.cat([part.flatten(1) for part in self.features(one_by_one)], dim=1)
        hidden = nn.functional.silu(self.inner(flat)).reshape(len(frames), self._frames, -1)
        remembered, _ = self.memory(hidden)
        values: Tensor = self.values(remembered[:, -1])
        return values


class DrqnAgent(ValueAgent):
    """A trained `drqn`: it remembers the last observations of every row until the next reset."""

    name = "drqn"
    stateless = False
    config_class: ClassVar[Any] = DrqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: DrqnConfig) -> Values:
        """Return an untrained network."""
        return Values(Recurrent(ObservationLayout(scenario), config))

    def reset(self, seed: int) -> None:
        """Forget."""
        self._frames: npt.NDArray[np.float32] | None = None

    def act(
        self, observation: npt.NDArray[np.float32], info: Mapping[str, Any]
    ) -> npt.NDArray[np.int64]:
        """Return the legal action of the largest value in each row."""
        if self._frames is None:
            rows, size = observation.shape
            self._frames = np.zeros((rows, self.config.frames * size), dtype=np.float32)
        self._frames = add_frame(self._frames, observation)
        return super().act(self._frames, info)


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
