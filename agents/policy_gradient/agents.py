"""The trained `ppo`, `a2c` and `reinforce`: what decides; no training library is loaded here."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from edge_marl.agents.networks.flat import FlatActor
from edge_marl.agents.networks.pairs import PairActor
from edge_marl.agents.networks.priors import prior_of
from edge_marl.agents.networks.sharing import network_for
from edge_marl.agents.policy_agent import DrawingAgent
from edge_marl.agents.policy_gradient.settings import (
    A2cConfig,
    PolicyGradientConfig,
    PpoConfig,
    ReinforceConfig,
)
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["A2cAgent", "MaskedPolicyAgent", "PpoAgent", "ReinforceAgent"]


class MaskedPolicyAgent(DrawingAgent[Any]):
    """Takes the most probable action of a masked network, or draws one."""

    deterministic = True

    @classmethod
    def build_actor(cls, scenario: Scenario, config: PolicyGradientConfig) -> nn.Module:
        """Return an untrained actor."""

        def make() -> nn.Module:
            if config.network == "pairs":
                return PairActor(scenario, config.hidden, prior_of(scenario, config))
            return FlatActor(ObservationLayout(scenario), config.hidden)

        return network_for(scenario, config, make)


class PpoAgent(MaskedPolicyAgent):
    """A trained `ppo`."""

    name = "ppo"
    config_class: ClassVar[Any] = PpoConfig


class A2cAgent(MaskedPolicyAgent):
    """A trained `a2c`."""

    name = "a2c"
    config_class: ClassVar[Any] = A2cConfig


class ReinforceAgent(MaskedPolicyAgent):
    """A trained `reinforce`."""

    name = "reinforce"
    config_class: ClassVar[Any] = ReinforceConfig
