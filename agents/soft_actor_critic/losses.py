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
from collections.abc import Callable, Mapping
from typing import Any

import torch
from gymnasium.spaces import Discrete
from tianshou.algorithm.algorithm_base import TrainingStats
from tianshou.algorithm.modelfree.ddpg import ActorCriticOffPolicyAlgorithm
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSACPolicy
from tianshou.algorithm.modelfree.sac import AutoAlpha
from tianshou.data import Batch
from torch import Tensor, nn
from torch.distributions import Categorical
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edge_marl.agents.networks.features import SeesOnce
from edge_marl.agents.on_tianshou.learner import ReplayLearner
from edge_marl.agents.on_tianshou.on_batch import OnBatch, seen_once
from edge_marl.agents.on_tianshou.optimisers import adam, falling
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay
from edge_marl.agents.soft_actor_critic.settings import SoftActorCriticConfig

__all__ = ["SacLearner"]


class SacLearner(ReplayLearner):
    """Learns an actor and its critics.

    Args:
        actions: the A actions.
        config: settings.
        actor: the network (observation (B, D), mask (B, A)) -> log-probabilities (B, A).
        make_critic: makes the network (observation (B, D)) -> Q (B, A), or one that `SeesOnce`;
            called twice.
        replay: buffer.
        budget: decisions to train on, over which the learning rate falls.
        acts: the network that the trained agent acts with, where `actor` wraps it.
        networks: how many networks there are, each with a temperature of its own.
    """

    def __init__(
        self,
        actions: Discrete,
        config: SoftActorCriticConfig,
        actor: nn.Module,
        make_critic: Callable[[], nn.Module],
        replay: UniformReplay,
        budget: int,
        acts: nn.Module | None = None,
        networks: int = 1,
    ) -> None:
        super().__init__(config.batch_size)
        self.actor, self.replay = acts or actor, replay
        optimiser = falling(adam(config.learning_rate), budget, config.decisions_per_update)
        self.algorithm = _DiscreteSAC(
            policy=DiscreteSACPolicy(actor=OnBatch(actor, actor=True), action_space=actions),
            policy_optim=optimiser,
            critic=OnBatch(_side_by_side(make_critic(), make_critic()), actor=False),
            critic_optim=optimiser,
            tau=config.tau,
            gamma=config.gamma,
            alpha=_MaskedAlpha(config, int(actions.n), networks),
            centred=config.centred,
            n_step_return_horizon=config.n_step,
        )


class _Critics(nn.Module):
    """Two critics side by side."""

    def __init__(self, *critics: nn.Module) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.told = getattr(critics[0], "told", False)

    def forward(self, *shown: Tensor) -> Tensor:
        """Return Q (2, B, A) for observations (B, D)."""
        return torch.stack([critic(*shown) for critic in self.critics])


class _CriticsSeeOnce(SeesOnce):
    """Two critics side by side, on the same features."""

    def __init__(self, *critics: SeesOnce) -> None:
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.see, self.sees, self.masked = critics[0].see, critics[0].sees, critics[0].masked
        self.told = critics[0].told

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return Q (2, B, A)."""
        critics: list[Any] = list(self.critics)
        return torch.stack([critic.judge(seen) for critic in critics])


def _side_by_side(first: nn.Module, second: nn.Module) -> nn.Module:
    if isinstance(first, SeesOnce) and isinstance(second, SeesOnce):
        return _CriticsSeeOnce(first, second)
    return _Critics(first, second)


class _MaskedAlpha(AutoAlpha):
    """A temperature whose target entropy is that of each state: Tianshou's has one for all.

    With several networks each has its own.
    """

    _target_entropy: Any
    _log_alpha: nn.Parameter

    def __init__(self, config: SoftActorCriticConfig, actions: int, networks: int) -> None:
        super().__init__(
            target_entropy=0.0,  # replaced before each update
            log_alpha=[config.initial_log_alpha] * networks
            if networks > 1
            else config.initial_log_alpha,  # type: ignore[arg-type]  # it makes a tensor of it
            optim=adam(config.alpha_learning_rate),
        )
        log_legal = [math.log(max(1, legal)) for legal in range(actions + 1)]
        self._targets = torch.tensor([config.target_entropy * most for most in log_legal])

    def aim(self, seen: Any) -> None:
        """Take the states (their `mask` (B, A)) that the next update's entropies (B,) are of."""
        self._target_entropy = self._targets[torch.as_tensor(seen.mask).sum(dim=1)]
        self._seen = seen

    def of(self, seen: Any) -> Any:
        """Return the temperature, or (B,) that of each state's network."""
        if not self._log_alpha.dim():
            return self.value
        return self._log_alpha.detach().exp()[torch.as_tensor(seen.which)]

    def update(self, entropy: Tensor) -> float:
        """Move towards the target, given the entropies (B,) of the policy."""
        if not self._log_alpha.dim():
            return float(super().update(entropy))
        own = self._log_alpha[torch.as_tensor(self._seen.which)]
        loss = -(own * (self._target_entropy - entropy)).mean()
        self._optim.zero_grad()
        loss.backward()
        self._optim.step()
        return float(loss.item())


class _DiscreteSAC(ActorCriticOffPolicyAlgorithm[DiscreteSACPolicy, Any]):
    """The update, with Tianshou's n-step returns, targets, optimisers and temperature.

    Tianshou's own passes the critics twice per step, for the actor's loss anew after theirs: here
    the actor climbs the values that they had before it. And its critics are two by name; here they
    are one network with two answers, of which the lower counts.
    """

    def __init__(self, *, alpha: _MaskedAlpha, centred: bool, **parts: Any) -> None:
        super().__init__(**parts)
        self.alpha, self._centred = alpha, centred

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        """Add the returns; of centred rewards they are less the mean of all that is kept."""
        if not self._centred:
            return super()._preprocess_batch(batch, buffer, indices)
        kept = buffer.rew
        buffer._meta.rew = kept - kept.sum() / len(buffer)  # places not filled yet hold 0
        try:
            return super()._preprocess_batch(batch, buffer, indices)
        finally:
            buffer._meta.rew = kept

    def _update_lagged_network_weights(self) -> None:
        """Move the targets by `tau`, in one pass; one by one its 80 small tensors take 0.5 ms."""
        slow, fast = (list(part.parameters()) for part in (self.critic_old, self.critic))
        move: Any = get_ema_multi_avg_fn
        move(1.0 - self.tau)(slow, fast, 0)

    def _target_q_compute_action(self, obs_batch: Any) -> Any:
        """No action is drawn: V is over all of them."""
        return Batch()

    def _target_q_compute_value(self, obs_batch: Any, act_batch: Any) -> Tensor:
        seen = seen_once(obs_batch.obs, self.policy.actor, self.critic)
        value, entropy = self._expected(seen, self.critic_old(seen))
        target: Tensor = value + self.alpha.of(seen) * entropy
        return target

    def _expected(self, seen: Any, values: Tensor) -> tuple[Tensor, Tensor]:
        """Return the policy's expectation of the lower Q of (2, B, A), and its entropy, (B,).

        By the distribution that Tianshou takes, so that they are its to the last bit.
        """
        logits, _ = self.policy.actor(seen)
        dist: Any = Categorical(logits=logits)
        return (dist.probs * values.amin(dim=0)).sum(dim=-1), dist.entropy()

    def _update_with_batch(self, batch: Any) -> Any:
        batch.obs = seen_once(batch.obs, self.policy.actor, self.critic)
        values = self.critic(batch.obs)
        taken = torch.as_tensor(batch.act)[None, :, None].expand(len(values), -1, 1)
        error = values.gather(2, taken).squeeze(2) - batch.returns.flatten()
        critic_loss = error.pow(2).mean(dim=1).sum()
        self.critic_optim.step(critic_loss)

        expected, entropy = self._expected(batch.obs, values.detach())
        actor_loss = -(expected + self.alpha.of(batch.obs) * entropy).mean()
        self.policy_optim.step(actor_loss)

        self.alpha.aim(batch.obs)
        self.alpha.update(entropy.detach())
        self._update_lagged_network_weights()
        return TrainingStats()
