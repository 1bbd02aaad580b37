"""`a2c`: Tianshou's synchronous advantage actor-critic with a masked perceptron."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from tianshou.algorithm.modelfree.a2c import A2C

from edge_marl.agents.baselines import A2cConfig
from edge_marl.agents.networks import FlatNetwork
from edge_marl.agents.on_policy import FlatPolicyAgent, OnPolicyLearner
from edge_marl.agents.optimisers import adam_of
from edge_marl.agents.policy import OnBatch
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["TRAINED", "A2cAgent", "make_learner"]


class A2cAgent(FlatPolicyAgent):
    """A trained `a2c`."""

    name = "a2c"
    config_class: ClassVar[Any] = A2cConfig


TRAINED = A2cAgent


def make_learner(
    scenario: Scenario, config: A2cConfig, rows: int, budget: int, _: np.random.SeedSequence
) -> OnPolicyLearner:
    """Return an untrained learner (see `trainer.py`)."""
    actor = A2cAgent.build_actor(scenario, config)
    critic = FlatNetwork(ObservationLayout(scenario), config.hidden, outputs=1)
    learner = OnPolicyLearner(scenario, actor, rows, config.decisions_per_update, config.batch_size)
    learner.algorithm = A2C(
        policy=learner.policy,
        critic=OnBatch(critic, actor=False),
        optim=adam_of(config, budget),
        vf_coef=config.value_weight,
        ent_coef=config.entropy,
        max_grad_norm=config.max_grad_norm,
        gae_lambda=config.gae_lambda,
        max_batchsize=4096,
        gamma=config.gamma,
    )
    return learner
