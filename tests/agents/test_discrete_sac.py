"""The temperature: Tianshou's own where nothing is masked, and each state's target where it is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from tianshou.algorithm.modelfree.sac import AutoAlpha
from tianshou.data import Batch
from torch import Tensor, nn

from edge_marl.agents.discrete_sac import SacLearner
from edge_marl.agents.learned import SacConfig
from edge_marl.agents.optimisers import adam
from edge_marl.agents.replay import UniformReplay

ACTIONS = 6
CONFIG = SacConfig(target_entropy=0.4, alpha_learning_rate=0.01)


class Logits(nn.Module):
    """The same masked log-probabilities in every state, from a table of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.linspace(0.0, 3.0, ACTIONS))

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        logits = self.table.masked_fill(~mask, torch.finfo(self.table.dtype).min)
        return logits.log_softmax(dim=-1)


def algorithm() -> Any:
    critics = iter([nn.Linear(1, ACTIONS), nn.Linear(1, ACTIONS)])
    replay = UniformReplay(1, 1, np.random.SeedSequence(0))
    make_critic = lambda: next(critics)  # noqa: E731
    learner = SacLearner(Discrete(ACTIONS), CONFIG, Logits(), make_critic, replay, budget=100)
    return learner.algorithm


def batch_of(mask: np.ndarray) -> Any:
    count = len(mask)
    return Batch(
        obs=Batch(obs=np.zeros((count, 1), dtype=np.float32), mask=mask),
        act=mask.argmax(axis=1),
        returns=torch.zeros(count),
        info=Batch(),
    )


def entropies(learner: Any, mask: np.ndarray) -> Tensor:
    result: Tensor = learner.policy(batch_of(mask)).dist.entropy().detach()
    return result


def test_without_masks_the_temperature_is_tianshous_bit_for_bit() -> None:
    learner = algorithm()
    theirs = AutoAlpha(0.4 * math.log(ACTIONS), CONFIG.initial_log_alpha, adam(0.01))
    mask = np.ones((5, ACTIONS), dtype=bool)
    for _ in range(20):
        # The policy's own step comes before the temperature's, after its entropy was taken.
        theirs.update(entropies(learner, mask))
        learner._update_with_batch(batch_of(mask))
        assert learner.alpha.value == theirs.value
    assert theirs.value != pytest.approx(math.exp(CONFIG.initial_log_alpha))


def test_each_states_target_follows_from_its_legal_actions() -> None:
    learner = algorithm()
    mask = np.tri(ACTIONS, dtype=bool)  # 1 to 6 legal actions
    entropy = entropies(learner, mask)
    gap = torch.tensor([0.4 * math.log(n) for n in range(1, ACTIONS + 1)]) - entropy
    assert entropy[0] == gap[0] == 0.0
    log_alpha = learner.alpha._log_alpha
    learner._update_with_batch(batch_of(mask))
    assert log_alpha.grad.item() == pytest.approx(-gap.mean().item())


def test_states_with_one_action_move_nothing() -> None:
    learner = algorithm()
    before = learner.alpha.value, learner.policy.actor.network.table.detach().clone()
    learner._update_with_batch(batch_of(np.eye(ACTIONS, dtype=bool)))
    assert learner.alpha.value == before[0]
    assert torch.equal(learner.policy.actor.network.table, before[1])
