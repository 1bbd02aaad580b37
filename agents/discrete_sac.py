"""Discrete soft actor-critic from Tianshou's parts, its temperature aware of masks.

With double critics Q1, Q2, their slowly following targets, the policy pi and temperature alpha:

    y        = r_1 + ... + gamma^(n-1) r_n + gamma^n V(s_n)          (V is 0 after a termination)
    V(s)     = sum_a pi(a|s) min(Q1', Q2')(s, a) + alpha H(pi(.|s))
    critics  : minimise mean (Q_i(s, a) - y)^2
    actor    : minimise -mean [alpha H(pi(.|s)) + sum_a pi(a|s) min(Q1, Q2)(s, a)]
    alpha    : log alpha moves by the mean of H_target(s) - H(pi(.|s))

H_target(s) is a share of log(number of actions that are legal in s); pi is 0 where one is not.
(Christodoulou 2019, arXiv:1910.07207; `tianshou.algorithm.modelfree.discrete_sac`.)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from gymnasium.spaces import Discrete
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSAC, DiscreteSACPolicy
from tianshou.algorithm.modelfree.sac import AutoAlpha
from torch import nn

from edge_marl.agents.learned import LearnerConfig
from edge_marl.agents.learner import ReplayLearner
from edge_marl.agents.optimisers import adam, falling_adam
from edge_marl.agents.policy import OnBatch
from edge_marl.agents.replay import UniformReplay

__all__ = ["SacLearner"]


class SacLearner(ReplayLearner):
    """Learns an actor and its critics.

    Args:
        actions: the A actions.
        config: settings.
        actor: the network (observation (B, D), mask (B, A)) -> log-probabilities (B, A).
        make_critic: makes the network (observation (B, D)) -> Q (B, A); called twice.
        replay: buffer.
        budget: decisions to train on, over which the learning rate falls.
        acts: the network that the trained agent acts with, where `actor` wraps it.
    """

    def __init__(
        self,
        actions: Discrete,
        config: LearnerConfig,
        actor: nn.Module,
        make_critic: Callable[[], nn.Module],
        replay: UniformReplay,
        budget: int,
        acts: nn.Module | None = None,
    ) -> None:
        super().__init__(config.batch_size)
        self.actor, self.replay = acts or actor, replay
        optimiser = falling_adam(config, budget)
        self.algorithm = _MaskedSAC(
            policy=DiscreteSACPolicy(actor=OnBatch(actor, actor=True), action_space=actions),
            policy_optim=optimiser,
            critic=OnBatch(make_critic(), actor=False),
            critic_optim=optimiser,
            critic2=OnBatch(make_critic(), actor=False),
            critic2_optim=optimiser,
            tau=config.tau,
            gamma=config.gamma,
            alpha=_MaskedAlpha(config, int(actions.n)),
            n_step_return_horizon=config.n_step,
        )


class _MaskedAlpha(AutoAlpha):
    """A temperature whose target entropy is that of each state: Tianshou's has one for all."""

    _target_entropy: Any

    def __init__(self, config: LearnerConfig, actions: int) -> None:
        super().__init__(
            target_entropy=0.0,  # replaced before each update
            log_alpha=config.initial_log_alpha,
            optim=adam(config.alpha_learning_rate),
        )
        log_legal = [math.log(max(1, legal)) for legal in range(actions + 1)]
        self._targets = torch.tensor([config.target_entropy * most for most in log_legal])

    def aim(self, mask: Any) -> None:
        """Take the masks (B, A) of the states that the next update's entropies (B,) are of."""
        self._target_entropy = self._targets[torch.as_tensor(mask).sum(dim=1)]


class _MaskedSAC(DiscreteSAC):
    alpha: _MaskedAlpha

    def _update_with_batch(self, batch: Any) -> Any:
        self.alpha.aim(batch.obs.mask)
        return super()._update_with_batch(batch)
