"""`idqn`: Tianshou's double DQN on every gateway's own transitions, one network for all."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy
from torch import Tensor, nn

from edge_marl.agents.independent import IdqnConfig, IndependentConfig
from edge_marl.agents.learner import ReplayLearner
from edge_marl.agents.networks import FlatNetwork
from edge_marl.agents.optimisers import falling_adam
from edge_marl.agents.policy import PolicyAgent
from edge_marl.agents.replay import UniformReplay, replay_size
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["TRAINED", "GatewayValues", "IdqnAgent", "make_learner"]


class GatewayValues(nn.Module):
    """Q of each action and, as the last, of doing nothing: the value of a step without a task."""

    def __init__(self, scenario: Scenario, hidden: tuple[int, ...]) -> None:
        super().__init__()
        layout = ObservationLayout(scenario)
        self.values = FlatNetwork(layout, hidden, outputs=scenario.num_actions + 1)

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        """Return Q (B, A) of the single environment's actions, the lowest number where illegal."""
        values: Tensor = self.values(observation)[:, :-1]
        return values.masked_fill(~mask, torch.finfo(values.dtype).min)


class IdqnAgent(PolicyAgent[IdqnConfig]):
    """A trained `idqn`: any gateway's policy, and the single environment's.

    Its network gives action values where that of others gives log-probabilities; acting takes the
    largest in either case.
    """

    name = "idqn"
    deterministic = True
    config_class: ClassVar[type[IndependentConfig]] = IdqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: IdqnConfig) -> nn.Module:
        """Return an untrained network."""
        return GatewayValues(scenario, config.hidden)


class _OnArray(nn.Module):
    """A network on tensors as Tianshou's DQN calls networks; it sees to the masks itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, obs: Any, state: Any = None, info: Any = None) -> tuple[Tensor, Any]:
        return self.network(torch.as_tensor(obs)), state


class _Dqn(ReplayLearner):
    def __init__(
        self,
        scenario: Scenario,
        config: IdqnConfig,
        network: GatewayValues,
        replay: UniformReplay,
        budget: int,
    ) -> None:
        super().__init__(config.batch_size)
        self._config = config
        self.actor, self.replay = network, replay
        self._policy = DiscreteQLearningPolicy(
            model=_OnArray(network.values), action_space=gateway_action_space(scenario)
        )
        self.algorithm: DQN[Any] = DQN(
            policy=self._policy,
            optim=falling_adam(config, budget),
            gamma=config.gamma,
            target_update_freq=config.updates_per_target,
        )

    def explore(self, spent: float) -> None:
        """Lower the share of random actions in a straight line."""
        end = self._config.exploration_end
        left = max(0.0, 1.0 - spent / max(self._config.exploration_share, 1e-9))
        self._policy.set_eps_training(end + (1.0 - end) * left)


TRAINED = IdqnAgent


def make_learner(
    scenario: Scenario,
    config: IdqnConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> ReplayLearner:
    """Return an untrained learner (see `trainer.py`)."""
    network = GatewayValues(scenario, config.hidden)
    size = replay_size(scenario, rows, config.buffer_size, budget)
    return _Dqn(scenario, config, network, UniformReplay(size, rows, for_replay), budget)
