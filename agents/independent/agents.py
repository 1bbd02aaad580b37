"""The trained `ippo`, `idqn` and `iadsac`: what decides; no training library is loaded here."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from edge_marl.agents.independent.settings import IadsacConfig, IppoConfig
from edge_marl.agents.networks.flat import FlatNetwork
from edge_marl.agents.networks.pairs import PairNetwork
from edge_marl.agents.networks.sharing import ForEach, network_for
from edge_marl.agents.policy_gradient.agents import MaskedPolicyAgent
from edge_marl.agents.soft_actor_critic.agents import AdsacAgent
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.agents.value_based.agents import ValueAgent
from edge_marl.agents.value_based.settings import DqnConfig
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["GatewayValues", "IadsacAgent", "IdqnAgent", "IppoAgent"]


class IppoAgent(MaskedPolicyAgent):
    """A trained `ippo`: any gateway's policy, and the single environment's."""

    name = "ippo"
    config_class: ClassVar[Any] = IppoConfig


class GatewayValues(nn.Module):
    """Q of each action and, as the last, of doing nothing: the value of a step without a task."""

    def __init__(self, scenario: Scenario, config: DqnConfig) -> None:
        super().__init__()
        if config.network == "pairs":
            self.values: nn.Module = PairNetwork(scenario, config.hidden, nothing=True)
        else:
            layout = ObservationLayout(scenario)
            self.values = FlatNetwork(layout, config.hidden, outputs=scenario.num_actions + 1)

    def forward(self, observation: Tensor, mask: Tensor) -> Tensor:
        """Return Q (B, A) of the single environment's actions, the lowest number where illegal."""
        values: Tensor = self.values(observation)[:, :-1]
        return values.masked_fill(~mask, torch.finfo(values.dtype).min)


class IdqnAgent(ValueAgent):
    """A trained `idqn`: any gateway's policy, and the single environment's."""

    name = "idqn"
    config_class: ClassVar[Any] = DqnConfig

    @classmethod
    def build_actor(cls, scenario: Scenario, config: DqnConfig) -> nn.Module:
        """Return an untrained network."""
        return GatewayValues(scenario, config)


class IadsacAgent(AdsacAgent):
    """A trained `iadsac`: any gateway's policy, and the single environment's."""

    name = "iadsac"
    config_class: ClassVar[type[AdsacConfig]] = IadsacConfig
    actor: Any

    @classmethod
    def build_actor(cls, scenario: Scenario, config: AdsacConfig) -> Any:
        """Return an untrained actor."""
        make = super().build_actor
        return network_for(scenario, config, lambda: make(scenario, config))

    @property
    def _diffusion(self) -> Any:
        """What the noise is for: the same for all networks."""
        return self.actor.one if isinstance(self.actor, ForEach) else self.actor

    def log_probabilities(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return log-probabilities (B, A) of the policy in evaluation."""
        if not isinstance(self.actor, ForEach):
            return super().log_probabilities(observation, mask, *which)
        values: Tensor = self.actor(observation, mask, *which, common=(self._noise,))
        return values
