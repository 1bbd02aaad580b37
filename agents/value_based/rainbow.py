"""`rainbow`: Tianshou's Rainbow, over legal actions only.

Double Q-learning, duelling and noisy layers, returns as distributions over fixed atoms,
prioritised replay and n-step returns. Two things differ from Tianshou's own:

* The network's noise is drawn anew for every decision of the training. Tianshou's collector puts
  networks into evaluation, where noisy layers have no noise: nothing would explore.
* The distribution that a target is made of is that of the state n decisions later. Tianshou 2.0
  takes the next state's, whatever n is.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.modelfree.c51 import C51Policy
from tianshou.algorithm.modelfree.rainbow import RainbowDQN
from tianshou.data import Batch, PrioritizedVectorReplayBuffer, to_numpy
from tianshou.utils.net.discrete import NoisyLinear
from tianshou.utils.torch_utils import torch_train_mode
from torch import Tensor, nn

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.on_tianshou.replay_buffer import replay_size
from edge_marl.agents.value_based.settings import RainbowConfig
from edge_marl.agents.value_based.shared import (
    OnArray,
    ValueAgent,
    ValueLearner,
    Values,
    algorithm_parts,
)
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["RainbowAgent", "ReturnDistributions", "make_learner", "support"]


def support(scenario: Scenario, gamma: float) -> tuple[float, float]:
    """Return the least and the largest return that the atoms reach to.

    A decision pays 2 at most (qualities are at most 2) and costs one overload at worst, of which
    only few can follow each other before servers are empty; the discounted sum of the best rewards
    is 2 / (1 - gamma), and half of that is more than any policy gets.
    """
    most = 1.0 / max(1.0 - gamma, 1e-3)
    return -max(most, 4.0 * scenario.overload.penalty), most


class ReturnDistributions(nn.Module):
    """Probabilities (B, A, Z) of each action's return being at each of Z atoms; duelling."""

    def __init__(self, layout: ObservationLayout, config: RainbowConfig) -> None:
        super().__init__()
        self._shape = (layout.num_actions, config.atoms)
        width = config.hidden[-1]
        self.body = FlatNetwork(layout, config.hidden[:-1] or (width,), width)
        self.value = NoisyLinear(width, config.atoms, config.noise)
        self.advantage = NoisyLinear(width, self._shape[0] * config.atoms, config.noise)

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A, Z) for observations (B, D)."""
        hidden = nn.functional.silu(self.body(observation))
        advantage = self.advantage(hidden).reshape(-1, *self._shape)
        centred = advantage - advantage.mean(dim=1, keepdim=True)
        probabilities: Tensor = (self.value(hidden)[:, None] + centred).softmax(dim=-1)
        return probabilities


class _MeanReturn(Values):
    atoms: Tensor

    def __init__(self, network: nn.Module, scenario: Scenario, config: RainbowConfig) -> None:
        super().__init__(network)
        atoms = torch.linspace(*support(scenario, config.gamma), config.atoms)
        self.register_buffer("atoms", atoms, persistent=False)

    def mean(self, outputs: Tensor) -> Tensor:
        return outputs @ self.atoms


class RainbowAgent(ValueAgent):
    """A trained `rainbow`; its layers have no noise."""

    name = "rainbow"
    config_class: ClassVar[Any] = RainbowConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: RainbowConfig) -> Values:
        """Return an untrained network."""
        network = ReturnDistributions(ObservationLayout(scenario), config)
        return _MeanReturn(network, scenario, config)


class _Rainbow(RainbowDQN):
    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        prepared: Any = super()._preprocess_batch(batch, buffer, indices)
        for _ in range(self.n_step - 1):
            indices = buffer.next(indices)
        prepared.obs_next = buffer[indices].obs_next
        return prepared


class _RainbowLearner(ValueLearner):
    def act(self, seen: Batch) -> npt.NDArray[np.int64]:
        algorithm: Any = self.algorithm
        policy: Any = algorithm.policy
        batch: Any = Batch(obs=seen, info=Batch())
        algorithm._sample_noise(policy.model)
        with torch.no_grad(), torch_train_mode(policy):
            chosen = to_numpy(policy(batch, None).act)
        return np.asarray(policy.add_exploration_noise(chosen, batch))


def make_learner(
    scenario: Scenario,
    config: RainbowConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> ValueLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = RainbowAgent.build_actor(scenario, config)
    least, most = support(scenario, config.gamma)
    policy = C51Policy(
        model=OnArray(actor.network),
        action_space=action_space(scenario),
        num_atoms=config.atoms,
        v_min=least,
        v_max=most,
    )
    learner = _RainbowLearner(policy, config)
    learner.actor = actor
    learner.replay = PrioritizedVectorReplayBuffer(
        replay_size(config.buffer_size, rows, budget),
        rows,
        alpha=config.priority,
        beta=config.correction,
    )
    learner.algorithm = _Rainbow(**algorithm_parts(policy, config, budget))
    return learner
