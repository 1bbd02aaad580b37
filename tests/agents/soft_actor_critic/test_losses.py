"""The update against Tianshou's own, and the temperature, whose target is that of each state."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSAC
from tianshou.algorithm.modelfree.sac import AutoAlpha
from tianshou.data import Batch
from torch import Tensor, nn

from edge_marl.agents.on_tianshou.on_batch import OnBatch
from edge_marl.agents.on_tianshou.optimisers import adam
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay
from edge_marl.agents.soft_actor_critic.losses import SacLearner
from edge_marl.agents.soft_actor_critic.settings import SacConfig

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


def algorithm(config: SacConfig = CONFIG) -> Any:
    replay = UniformReplay(1, 1, np.random.SeedSequence(0))
    learner = SacLearner(
        Discrete(ACTIONS), config, Logits(), lambda: nn.Linear(1, ACTIONS), replay, 100
    )
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


def tianshous(ours: Any, critic_rate: float) -> Any:
    """Tianshou's algorithm with copies of the networks of ours, its critics learning at a rate."""
    critics = ours.critic.network.critics
    return DiscreteSAC(
        policy=deepcopy(ours.policy),
        policy_optim=adam(CONFIG.learning_rate),
        critic=OnBatch(deepcopy(critics[0]), actor=False),
        critic_optim=adam(critic_rate),
        critic2=OnBatch(deepcopy(critics[1]), actor=False),
        critic2_optim=adam(critic_rate),
        tau=CONFIG.tau,
        gamma=CONFIG.gamma,
        alpha=math.exp(CONFIG.initial_log_alpha),
    )


def test_an_update_is_tianshous_with_the_critics_of_before_it_in_the_actors_loss() -> None:
    ours, mask = algorithm(), np.ones((5, ACTIONS), dtype=bool)
    with_critics_of_before = tianshous(ours, critic_rate=0.0)
    theirs = tianshous(ours, critic_rate=CONFIG.learning_rate)
    batch = batch_of(mask)
    batch.returns = torch.linspace(-1.0, 2.0, len(mask))
    for algorithm_ in (ours, theirs, with_critics_of_before):
        algorithm_._update_with_batch(deepcopy(batch))
    # Adam's first step shows no more than signs: the gradients are compared.
    gradient, of_before, of_after = (
        each.policy.actor.network.table.grad for each in (ours, with_critics_of_before, theirs)
    )
    assert torch.allclose(gradient, of_before, atol=1e-7)
    assert not torch.allclose(gradient, of_after, atol=1e-5)
    targets = ours.critic_old.module.network.critics
    for k, (now, slow) in enumerate(
        ((theirs.critic, theirs.critic_old), (theirs.critic2, theirs.critic2_old))
    ):
        assert torch.allclose(ours.critic.network.critics[k].weight, now.network.weight)
        assert torch.allclose(targets[k].weight, slow.module.network.weight)


def test_values_of_states_are_tianshous() -> None:
    ours, mask = algorithm(), np.tri(ACTIONS, dtype=bool)
    theirs, batch = tianshous(ours, critic_rate=0.0), batch_of(mask)
    expected = theirs._target_q_compute_value(batch, theirs.policy(batch))
    found = ours._target_q_compute_value(batch, ours._target_q_compute_action(batch))
    assert torch.allclose(found, expected)


@pytest.mark.parametrize("n_step", [1, 3])
def test_centred_returns_are_less_the_mean_reward_of_each_step(n_step: int) -> None:
    rewards = np.array([1.0, 5.0, -2.0, 4.0, 8.0, 3.0])  # of an episode of four steps, and on
    replay = UniformReplay(9, 1, np.random.SeedSequence(0))
    for step, reward in enumerate(rewards):
        seen = Batch(obs=np.full((1, 1), step, dtype=np.float32), mask=np.ones((1, ACTIONS), bool))
        ended = np.array([step == 3])
        kept = Batch(
            obs=seen,
            act=np.zeros(1, dtype=np.int64),
            rew=np.array([reward]),
            terminated=ended,
            truncated=np.zeros(1, dtype=bool),
            obs_next=seen,
            info=Batch(),
        )
        replay.add(kept)
    returns = []
    places = np.arange(len(rewards))
    for centred in (False, True):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # the same weights
            learner = algorithm(replace(CONFIG, n_step=n_step, gamma=0.5, centred=centred))
        prepared = learner._preprocess_batch(replay[places], replay, places)
        returns.append(prepared.returns.ravel().numpy())
    steps = np.minimum([4, 3, 2, 1, 2, 1], n_step)  # to the end of the episode, or of what is kept
    weights = np.array([sum(0.5**i for i in range(count)) for count in steps])
    np.testing.assert_allclose(returns[1], returns[0] - weights * rewards.mean(), atol=1e-5)
    np.testing.assert_array_equal(replay.rew[: len(rewards)], rewards)
