"""`dqn`: Tianshou's double DQN on a perceptron, over legal actions only."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from tianshou.algorithm.modelfree.dqn import DQN, DiscreteQLearningPolicy

from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.networks.pairs import PairNetwork
from edge_marl.agents.value_based.settings import DqnConfig
from edge_marl.agents.value_based.shared import (
    OnArray,
    ValueAgent,
    ValueLearner,
    Values,
    uniform_learner,
)
from edge_marl.envs.spaces import action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["DqnAgent", "make_learner"]


class DqnAgent(ValueAgent):
    """A trained `dqn`."""

    name = "dqn"
    config_class: ClassVar[Any] = DqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: DqnConfig) -> Values:
        """Return an untrained network."""
        if config.network == "pairs":
            return Values(PairNetwork(scenario, config.hidden))
        return Values(FlatNetwork(ObservationLayout(scenario), config.hidden))


def make_learner(
    scenario: Scenario,
    config: DqnConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> ValueLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    actor = DqnAgent.build_actor(scenario, config)
    policy = DiscreteQLearningPolicy(
        model=OnArray(actor.network), action_space=action_space(scenario)
    )
    return uniform_learner(DQN, actor, policy, config, rows, budget, for_replay)
