"""`ppo`: Tianshou's proximal policy optimisation with a masked perceptron."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from tianshou.algorithm.modelfree.ppo import PPO

from edge_marl.agents.baselines import PpoConfig
from edge_marl.agents.networks import FlatNetwork
from edge_marl.agents.on_policy import FlatPolicyAgent, OnPolicyLearner
from edge_marl.agents.optimisers import adam_of
from edge_marl.agents.policy import OnBatch
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["TRAINED", "PpoAgent", "make_learner"]


class PpoAgent(FlatPolicyAgent):
    """A trained `ppo`."""

    name = "ppo"
    config_class: ClassVar[Any] = PpoConfig


TRAINED = PpoAgent


def make_learner(
    scenario: Scenario, config: PpoConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> OnPolicyLearner:
    """Return an untrained learner (see `trainer.py`)."""
    actor = PpoAgent.build_actor(scenario, config)
    critic = FlatNetwork(ObservationLayout(scenario), config.hidden, outputs=1)
    learner = OnPolicyLearner(
        scenario, actor, rows, config.decisions_per_update, config.batch_size, config.epochs
    )
    learner.algorithm = PPO(
        policy=learner.policy,
        critic=OnBatch(critic, actor=False),
        optim=adam_of(config, budget),
        eps_clip=config.clip,
        advantage_normalization=True,
        vf_coef=config.value_weight,
        ent_coef=config.entropy,
        max_grad_norm=config.max_grad_norm,
        gae_lambda=config.gae_lambda,
        max_batchsize=4096,
        gamma=config.gamma,
    )
    return learner
