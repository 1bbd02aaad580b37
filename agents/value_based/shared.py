"""Exploring and replaying by action values: `dqn`, `drqn`, `qrdqn`, `rainbow`, `idqn`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tianshou.algorithm.modelfree.dqn import DiscreteQLearningPolicy
from torch import Tensor, nn

from edge_marl.agents.on_tianshou.learner import ReplayLearner
from edge_marl.agents.on_tianshou.optimisers import adam_of
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.value_based.networks import Values
from edge_marl.agents.value_based.settings import ValueConfig

__all__ = [
    "OnArray",
    "ValueLearner",
    "algorithm_parts",
    "uniform_learner",
]


class OnArray(nn.Module):
    """A network on tensors as Tianshou's DQN calls networks; it sees to the masks itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[Tensor, Any]:
        """Return the network's outputs and no state."""
        return self.network(torch.as_tensor(obs)), state


class ValueLearner(ReplayLearner):
    """A learner whose share of random actions falls in a straight line.

    Args:
        policy: Tianshou's.
        config: settings.
    """

    def __init__(self, policy: DiscreteQLearningPolicy[Any], config: ValueConfig) -> None:
        super().__init__(config.batch_size)
        self._policy, self._config = policy, config

    def explore(self, spent: float) -> None:
        """Lower the share of random actions; Tianshou draws them among the legal ones."""
        start, end = self._config.exploration_start, self._config.exploration_end
        left = max(0.0, 1.0 - spent / max(self._config.exploration_share, 1e-9))
        self._policy.set_eps_training(end + (start - end) * left)


def algorithm_parts(
    policy: DiscreteQLearningPolicy[Any], config: ValueConfig, budget: int
) -> dict[str, Any]:
    """Return what Tianshou's value-based algorithms are all made of."""
    return {
        "policy": policy,
        "optim": adam_of(config, budget),
        "gamma": config.gamma,
        "n_step_return_horizon": config.n_step,
        "target_update_freq": config.updates_per_target,
    }


def uniform_learner(
    kind: type[Any],
    actor: Values,
    policy: DiscreteQLearningPolicy[Any],
    config: ValueConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
    **own: Any,
) -> ValueLearner:
    """Return an untrained learner that replays uniformly.

    Args:
        kind: Tianshou's algorithm.
        actor: the network that acts.
        policy: Tianshou's, on the same network.
        config: settings.
        rows: rows of environments.
        budget: decisions to train on.
        for_replay: seed of the replay's draws.
        own: what the algorithm takes beside the others' settings.
    """
    learner = ValueLearner(policy, config)
    learner.actor = actor
    learner.replay = UniformReplay(replay_size(config.buffer_size, rows, budget), rows, for_replay)
    learner.algorithm = kind(**algorithm_parts(policy, config, budget), **own)
    return learner
