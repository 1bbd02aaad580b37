"""How the published diffusion policies learn.

    y       = r_1 + gamma r_2 + gamma^2 r_3 + gamma^3 sum_a pi'(a|s_3) min(Q1', Q2')(s_3, a)
    critics : minimise mean (Q1(s, a) - y)^2 + mean (Q2(s, a) - y)^2
    actor   : minimise -mean [alpha H(pi(.|s)) + sum_a pi(a|s) min(Q1, Q2)(s, a)]

pi' is the *target* actor, no entropy is in the target, alpha is fixed, and the critics' values in
the actor's loss carry no gradient. The actor and its target are in training mode throughout: with
attention their dropout is on in targets and when collecting, as published. What was not known is
in which order the two steps are taken: here the critics' comes first.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tianshou.algorithm.algorithm_base import OffPolicyAlgorithm, TrainingStats
from tianshou.algorithm.modelfree.discrete_sac import DiscreteSACPolicy
from tianshou.data import Batch
from tianshou.data.types import RolloutBatchProtocol
from torch import Tensor, nn

from edge_marl.agents.on_tianshou.learner import ReplayLearner
from edge_marl.agents.on_tianshou.on_batch import OnBatch
from edge_marl.agents.on_tianshou.optimisers import adam
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.published_diffusion.agents import PublishedAgent
from edge_marl.agents.published_diffusion.networks import Critics, DiffusionPolicy
from edge_marl.agents.published_diffusion.settings import PublishedConfig
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["PublishedLearner", "PublishedSac", "published_learner"]


class PublishedSac(OffPolicyAlgorithm[DiscreteSACPolicy]):
    """The published losses.

    Args:
        policy: Tianshou's, around `actor`.
        actor: the policy's network.
        critics: both.
        config: settings.
    """

    def __init__(
        self,
        policy: DiscreteSACPolicy,
        actor: DiffusionPolicy,
        critics: Critics,
        config: PublishedConfig,
    ) -> None:
        super().__init__(policy=policy)
        self.actor, self.critics = actor, critics
        self.target_actor, self.target_critics = deepcopy(actor), deepcopy(critics)
        self.target_actor.requires_grad_(False)
        self.target_critics.requires_grad_(False)
        self._config = config
        decay = config.weight_decay
        self.actor_step = self._create_optimizer(actor, adam(config.actor_learning_rate, decay))
        self.critic_step = self._create_optimizer(critics, adam(config.critic_learning_rate, decay))

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        return self.compute_nstep_return(
            batch, buffer, indices, self._target_value, self._config.gamma, self._config.n_step
        )

    def _target_value(self, buffer: Any, indices: npt.NDArray[np.int64]) -> Tensor:
        """Return sum_a pi'(a|s) min(Q1', Q2')(s, a), (B,), of the states after `indices`."""
        after = buffer[indices].obs_next
        seen, mask = torch.as_tensor(after.obs), torch.as_tensor(after.mask)
        self.target_actor.train()
        probabilities = self.target_actor(seen, mask).exp()
        value: Tensor = (probabilities * torch.minimum(*self.target_critics(seen))).sum(dim=-1)
        return value

    def _update_with_batch(self, batch: RolloutBatchProtocol) -> Any:
        given: Any = batch
        seen, mask = torch.as_tensor(given.obs.obs), torch.as_tensor(given.obs.mask)
        action = torch.as_tensor(given.act).long()[:, None]
        target = given.returns.flatten()
        first, second = (q.gather(1, action)[:, 0] for q in self.critics(seen))
        self.critic_step.step((first - target).square().mean() + (second - target).square().mean())
        self.actor_step.step(self.actor_loss(seen, mask))
        self._follow(self.target_actor, self.actor)
        self._follow(self.target_critics, self.critics)
        return TrainingStats()

    def actor_loss(self, seen: Tensor, mask: Tensor) -> Tensor:
        """Return the actor's loss on observations (B, S) with masks (B, A)."""
        log_probabilities = self.actor(seen, mask)
        probabilities = log_probabilities.exp()
        entropy = -(probabilities * log_probabilities).sum(dim=-1)
        with torch.no_grad():
            value = torch.minimum(*self.critics(seen))
        loss: Tensor = -(self._config.alpha * entropy + (probabilities * value).sum(dim=-1)).mean()
        return loss

    def _follow(self, target: nn.Module, network: nn.Module) -> None:
        with torch.no_grad():
            for slow, fast in zip(target.parameters(), network.parameters(), strict=True):
                slow.lerp_(fast, self._config.tau)


class PublishedLearner(ReplayLearner):
    """Collects for a while, then takes all gradient steps that are due.

    Args:
        algorithm: the losses.
        replay: buffer.
        config: settings.
    """

    algorithm: PublishedSac

    def __init__(
        self, algorithm: PublishedSac, replay: UniformReplay, config: PublishedConfig
    ) -> None:
        super().__init__(config.batch_size)
        self.algorithm, self.replay, self.actor = algorithm, replay, algorithm.actor
        self._together = max(1, config.collect // config.decisions_per_update)
        self._due = 0

    def act(self, seen: Batch) -> npt.NDArray[np.int64]:
        """Return actions drawn from the policy in training mode, each row by itself."""
        self.actor.train()
        with torch.no_grad():
            observation, mask = torch.as_tensor(seen.obs), torch.as_tensor(seen.mask)
            log_probabilities = self.actor(observation, mask, alone=True)
            drawn = torch.multinomial(log_probabilities.exp(), 1)[:, 0]
        actions: npt.NDArray[np.int64] = drawn.numpy()
        return actions

    def update(self, times: int) -> int:
        """Take the gradient steps that are due, once there are enough of them."""
        self._due += times
        if self._due < self._together:
            return 0
        now, self._due = self._due, 0
        return super().update(now)

    def state(self) -> dict[str, Any]:
        """Return all that the next update depends on."""
        return super().state() | {"due": self._due}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state."""
        super().restore(state)
        self._due = state["due"]


def published_learner(
    kind: type[PublishedAgent],
    scenario: Scenario,
    config: PublishedConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> PublishedLearner:
    """Return an untrained learner of an agent's kind (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = kind.build_actor(scenario, config)
    critics = Critics(ObservationLayout(scenario).size, scenario.num_actions)
    masked: Any = OnBatch(actor, actor=True)
    policy = DiscreteSACPolicy(actor=masked, action_space=action_space(scenario))
    replay = UniformReplay(replay_size(config.buffer_size, rows, budget), rows, for_replay)
    return PublishedLearner(PublishedSac(policy, actor, critics, config), replay, config)
