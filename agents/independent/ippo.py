"""`ippo`: Tianshou's PPO on every gateway's own transitions, with one masked policy for all."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from tianshou.algorithm.modelfree.ppo import PPO
from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.data import VectorReplayBuffer
from torch import nn

from edge_marl.agents.independent.settings import IndependentConfig, IppoConfig
from edge_marl.agents.networks.flat import FlatActor, FlatNetwork
from edge_marl.agents.on_tianshou.learner import Learner
from edge_marl.agents.on_tianshou.on_batch import GatewayActor, OnBatch
from edge_marl.agents.on_tianshou.optimisers import falling_adam
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["TRAINED", "IppoAgent", "MaskedPPO", "make_learner"]


class MaskedPPO(PPO):
    """PPO whose advantages are normalised over the steps in which there was something to decide.

    The others' count for nothing in the policy's loss, and would only shift and scale the rest.
    """

    def _preprocess_batch(self, batch: Any, buffer: Any, indices: Any) -> Any:
        prepared: Any = super()._preprocess_batch(batch, buffer, indices)
        deciding = torch.as_tensor(prepared.obs.mask).sum(dim=1) > 1
        advantages = prepared.adv[deciding]
        prepared.adv = torch.zeros_like(prepared.adv)
        if len(advantages) > 1:
            spread = advantages.std() + self._eps
            prepared.adv[deciding] = (advantages - advantages.mean()) / spread
        return prepared


class IppoAgent(PolicyAgent[IppoConfig]):
    """A trained `ippo`: any gateway's policy, and the single environment's."""

    name = "ippo"
    deterministic = True
    config_class: ClassVar[type[IndependentConfig]] = IppoConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: IppoConfig) -> nn.Module:
        """Return an untrained actor."""
        return FlatActor(ObservationLayout(scenario), config.hidden)


class _Ppo(Learner):
    def __init__(
        self, scenario: Scenario, config: IppoConfig, actor: nn.Module, slots: int, budget: int
    ) -> None:
        self._config = config
        self.actor = actor
        critic = FlatNetwork(ObservationLayout(scenario), config.hidden, outputs=1)
        masked: Any = OnBatch(GatewayActor(actor), actor=True)
        self.algorithm: MaskedPPO = MaskedPPO(
            policy=DiscreteActorPolicy(actor=masked, action_space=gateway_action_space(scenario)),
            critic=OnBatch(critic, actor=False),
            optim=falling_adam(config, budget),
            eps_clip=config.clip,
            advantage_normalization=False,
            ent_coef=config.entropy,
            max_grad_norm=0.5,
            gae_lambda=config.gae_lambda,
            max_batchsize=4096,
            gamma=config.gamma,
        )
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


TRAINED = IppoAgent


def make_learner(
    scenario: Scenario, config: IppoConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> Learner:
    """Return an untrained learner (see `trainer.py`)."""
    return _Ppo(scenario, config, IppoAgent.build_actor(scenario, config), rows, budget)
