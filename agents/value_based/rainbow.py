"""`rainbow`: Tianshou's Rainbow, over legal actions only.

Double Q-learning, duelling and noisy layers, returns as distributions over fixed atoms,
prioritised replay and n-step returns. Two things differ from Tianshou's own:

* The network's noise is drawn anew for every decision of the training. Tianshou's collector puts
  networks into evaluation, where noisy layers have no noise: nothing would explore.
* The distribution that a target is made of is that of the state n decisions later. Tianshou 2.0
  takes the next state's, whatever n is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.modelfree.c51 import C51Policy
from tianshou.algorithm.modelfree.rainbow import RainbowDQN
from tianshou.data import Batch, PrioritizedVectorReplayBuffer, to_numpy
from tianshou.utils.torch_utils import torch_train_mode
from torch import nn

from edge_marl.agents.on_tianshou.replay_buffer import replay_size
from edge_marl.agents.value_based.agents import RainbowAgent
from edge_marl.agents.value_based.networks import NoisyLinear, support
from edge_marl.agents.value_based.settings import RainbowConfig
from edge_marl.agents.value_based.shared import OnArray, ValueLearner, algorithm_parts
from edge_marl.envs.spaces import action_space
from edge_marl.scenario import Scenario

__all__ = ["make_learner"]


class _Rainbow(RainbowDQN):
    @staticmethod
    def _sample_noise(model: nn.Module) -> bool:
        """Draw the noise of our layers anew: Tianshou's looks for its own class."""
        noisy = [part for part in model.modules() if isinstance(part, NoisyLinear)]
        for layer in noisy:
            layer.sample()
        return bool(noisy)

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
