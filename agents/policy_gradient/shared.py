"""Learner and parts of the losses that `ppo`, `a2c`, `reinforce` and `ippo` share."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.data import Batch
from torch import nn
from torch.distributions import Categorical

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.networks.pairs import PairValue
from edge_marl.agents.networks.sharing import ForEach, network_for
from edge_marl.agents.on_tianshou.learner import Learner
from edge_marl.agents.on_tianshou.on_batch import OnBatch, seen_once
from edge_marl.agents.on_tianshou.optimisers import adam_of
from edge_marl.agents.on_tianshou.replay_buffer import Rollout
from edge_marl.agents.policy_gradient.settings import A2cConfig, PolicyGradientConfig
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = [
    "MaskedPolicy",
    "OnPolicyLearner",
    "OncePerUpdate",
    "actor_critic",
    "rollout_of",
]


class MaskedPolicy(DiscreteActorPolicy):
    """Tianshou's, without what a gradient step has no use for: checks, and actions drawn."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(dist_fn=partial(Categorical, None, validate_args=False), **parts)

    def forward(self, batch: Any, state: Any = None, **_: Any) -> Any:
        """Return the distribution of actions."""
        logits, _state = self.actor(batch.obs, state=state, info=batch.info)
        return Batch(dist=self.dist_fn(logits))


class OncePerUpdate:
    """For Tianshou's A2C and PPO: what has no weights is computed once per update.

    The policy's log-probabilities are those that its actions were drawn with.
    """

    centred: bool = False
    """Whether rewards are taken less their mean, as the setting of that name."""
    policy: Any
    critic: Any
    _add_returns_and_advantages: Any

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        if self.centred:
            batch.rew = batch.rew - batch.rew.mean()  # what is kept stays
        batch.obs = seen_once(batch.obs, self.policy.actor, self.critic)
        batch.obs_next = seen_once(batch.obs_next, self.critic)
        prepared = self._add_returns_and_advantages(batch, buffer, indices)
        prepared.act = torch.as_tensor(prepared.act)
        prepared.logp_old = torch.as_tensor(prepared.policy.log_p)
        del prepared.obs_next  # or it would be copied with each part of the batch
        return prepared


class OnPolicyLearner(Learner):
    """Goes through what was collected since the last update, and forgets it.

    Args:
        scenario: the world.
        actor: the policy's network.
        replay: what is collected in.
        config: settings.
    """

    replay: Any

    def __init__(
        self, scenario: Scenario, actor: nn.Module, replay: Any, config: PolicyGradientConfig
    ) -> None:
        self.actor, self.replay = actor, replay
        masked: Any = OnBatch(actor, actor=True)
        self.policy = MaskedPolicy(actor=masked, action_space=action_space(scenario))
        self._batch_size, self._epochs = config.batch_size, getattr(config, "epochs", 1)

    def act(self, seen: Batch) -> npt.NDArray[np.int64]:
        """Return an action per row, drawn from the policy.

        The largest of log p - log e with e exponential is drawn with probabilities p: in a third of
        the time of PyTorch's own draw. Were e ever 0, what is illegal would be drawn.
        """
        with torch.no_grad():
            log_p, _ = self.policy.actor(seen)
            least = torch.finfo(log_p.dtype).tiny
            noise = torch.empty_like(log_p).exponential_().clamp_min_(least).log_()
            drawn = (log_p - noise).argmax(dim=1)
            self.kept = Batch(log_p=log_p.gather(1, drawn[:, None]).squeeze(1).numpy())
        return np.asarray(drawn)

    def update(self, times: int) -> int:
        """Learn from what was collected; return the gradient steps."""
        algorithm: Any = self.algorithm
        collected = len(self.replay)
        algorithm.update(buffer=self.replay, batch_size=self._batch_size, repeat=self._epochs)
        self.replay.reset()
        # Tianshou joins the rest of a pass to its last batch.
        return self._epochs * max(1, collected // self._batch_size)


def rollout_of(config: PolicyGradientConfig, rows: int) -> Rollout:
    """Return room for what so many rows collect for an update."""
    return Rollout(-(-config.decisions_per_update // rows) + 1, rows)


def actor_critic(
    policy: DiscreteActorPolicy, scenario: Scenario, config: A2cConfig, budget: int
) -> dict[str, Any]:
    """Return what Tianshou's A2C and PPO are both made of."""
    layout = ObservationLayout(scenario)

    def make_critic() -> nn.Module:
        if config.network == "pairs":
            return PairValue(layout, config.hidden)
        return FlatNetwork(layout, config.hidden, outputs=1)

    critic = network_for(scenario, config, make_critic)
    apart = config.max_grad_norm if isinstance(critic, ForEach) else None
    return {
        "policy": policy,
        "critic": OnBatch(critic, actor=False),
        "optim": adam_of(config, budget, apart),
        "vf_coef": config.value_weight,
        "ent_coef": config.entropy,
        "max_grad_norm": config.max_grad_norm if apart is None else None,
        "gae_lambda": config.gae_lambda,
        "max_batchsize": 4096,
        "gamma": config.gamma,
    }
