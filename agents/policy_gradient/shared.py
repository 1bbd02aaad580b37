"""Agent, learner and parts of the losses that `ppo`, `a2c`, `reinforce` and `ippo` share."""

from __future__ import annotations

from typing import Any, ClassVar

from tianshou.algorithm.modelfree.reinforce import DiscreteActorPolicy
from tianshou.data import VectorReplayBuffer
from torch import nn

from edge_marl.agents.networks.flat import FlatActor, FlatNetwork
from edge_marl.agents.on_tianshou.learner import Learner
from edge_marl.agents.on_tianshou.on_batch import OnBatch
from edge_marl.agents.on_tianshou.optimisers import adam_of
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.agents.policy_gradient.settings import A2cConfig
from edge_marl.agents.training.settings import BaselineConfig
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["FlatPolicyAgent", "OnPolicyLearner", "actor_critic"]


class FlatPolicyAgent(PolicyAgent[Any]):
    """Takes the most probable action of a masked perceptron."""

    deterministic: ClassVar[bool] = True

    @classmethod
    def build_actor(cls, scenario: Scenario, config: BaselineConfig) -> FlatActor:
        """Return an untrained actor."""
        return FlatActor(ObservationLayout(scenario), config.hidden)


class OnPolicyLearner(Learner):
    """Goes through what was collected since the last update, and forgets it.

    Args:
        scenario: the world.
        actor: the policy's network.
        rows: rows of environments.
        decisions_per_update: decisions collected for an update.
        batch_size: transitions per gradient step.
        epochs: times that an update goes through what was collected.
    """

    def __init__(
        self,
        scenario: Scenario,
        actor: nn.Module,
        rows: int,
        decisions_per_update: int,
        batch_size: int,
        epochs: int = 1,
    ) -> None:
        self.actor = actor
        masked: Any = OnBatch(actor, actor=True)
        self.policy = DiscreteActorPolicy(actor=masked, action_space=action_space(scenario))
        steps = -(-decisions_per_update // rows) + 1
        self.replay = VectorReplayBuffer(steps * rows, rows)
        self._batch_size, self._epochs = batch_size, epochs

    def update(self, times: int) -> int:
        """Learn from what was collected; return the gradient steps."""
        algorithm: Any = self.algorithm
        collected = len(self.replay)
        algorithm.update(buffer=self.replay, batch_size=self._batch_size, repeat=self._epochs)
        self.replay.reset(keep_statistics=True)
        # Tianshou joins the rest of a pass to its last batch.
        return self._epochs * max(1, collected // self._batch_size)


def actor_critic(
    policy: DiscreteActorPolicy, scenario: Scenario, config: A2cConfig, budget: int
) -> dict[str, Any]:
    """Return what Tianshou's A2C and PPO are both made of."""
    critic = FlatNetwork(ObservationLayout(scenario), config.hidden, outputs=1)
    return {
        "policy": policy,
        "critic": OnBatch(critic, actor=False),
        "optim": adam_of(config, budget),
        "vf_coef": config.value_weight,
        "ent_coef": config.entropy,
        "max_grad_norm": config.max_grad_norm,
        "gae_lambda": config.gae_lambda,
        "max_batchsize": 4096,
        "gamma": config.gamma,
    }
