"""`ippo`: Tianshou's PPO on every gateway's own transitions, masked.

One policy and one critic decide for all gateways, or one for each or for each role: those learn as
if each had a PPO of its own on the same steps, but for the order of the minibatches.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.data import VectorReplayBuffer
from torch import nn

from edge_marl.agents.independent.settings import IppoConfig
from edge_marl.agents.on_tianshou.learner import Learner
from edge_marl.agents.on_tianshou.on_batch import GatewayActor, OnBatch
from edge_marl.agents.policy_gradient.shared import CentresRewards, MaskedPolicyAgent, actor_critic
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.scenario import Scenario

__all__ = ["IppoAgent", "MaskedPPO", "make_learner"]


class MaskedPPO(CentresRewards, PPO):
    """PPO whose advantages are normalised over the steps in which there was something to decide.

    The others' count for nothing in the policy's loss, and would only shift and scale the rest.
    Where there are several networks, the steps of each are normalised by themselves.
    """

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        self.centre(batch)
        prepared: Any = super()._preprocess_batch(batch, buffer, indices)
        deciding = torch.as_tensor(prepared.obs.mask).sum(dim=1) > 1
        found, prepared.adv = prepared.adv, torch.zeros_like(prepared.adv)
        several = "which" in prepared.obs
        which = np.asarray(prepared.obs.which) if several else np.zeros(len(found), dtype=np.int64)
        for network in np.unique(which):
            own = deciding & torch.from_numpy(which == network)
            advantages = found[own]
            if len(advantages) > 1:
                spread = advantages.std() + self._eps
                prepared.adv[own] = (advantages - advantages.mean()) / spread
        return prepared


class IppoAgent(MaskedPolicyAgent):
    """A trained `ippo`: any gateway's policy, and the single environment's."""

    name = "ippo"
    config_class: ClassVar[Any] = IppoConfig


class _Ppo(Learner):
    def __init__(
        self, scenario: Scenario, config: IppoConfig, actor: nn.Module, slots: int, budget: int
    ) -> None:
        self._config = config
        self.actor = actor
        masked: Any = OnBatch(GatewayActor(actor), actor=True)
        policy = DiscreteActorPolicy(actor=masked, action_space=gateway_action_space(scenario))
        parts = actor_critic(policy, scenario, config, budget)
        self.algorithm: MaskedPPO = MaskedPPO(
            eps_clip=config.clip, advantage_normalization=False, **parts
        )
        self.algorithm.centred = config.centred
        # In each step at least one gateway of each environment decides.
        envs = slots // scenario.gateways.count
        steps = -(-config.decisions_per_update // envs) + 1
        self.replay = VectorReplayBuffer(steps * slots, slots)

    def update(self, times: int) -> int:
        """Go through what was collected, and forget it.

        The steps without a task come on top of a batch's decisions: they teach the critic only.
        """
        collected: Any = self.replay[self.replay.sample_indices(0)]
        decisions = int(collected.obs.mask[:, :-1].any(axis=1).sum())
        batch_size = -(-self._config.batch_size * len(collected) // decisions)
        stats: Any = self.algorithm.update(
            buffer=self.replay, batch_size=batch_size, repeat=self._config.epochs
        )
        self.replay.reset(keep_statistics=True)
        return int(stats.gradient_steps)


def make_learner(
    scenario: Scenario, config: IppoConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> Learner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    return _Ppo(scenario, config, IppoAgent.build_actor(scenario, config), rows, budget)
