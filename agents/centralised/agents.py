"""The trained `vdn`, `qmix`, `mappo` and `happo`: what decides; no losses are loaded here.

Their networks are of TorchRL's modules, whose names of weights the saved agents have.

Gateways share parameters, and what two of them see can be the same. So that they need not do the
same then, the network is also told which gateway it decides for (one-hot).
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torchrl.modules import MLP, MultiAgentMLP

from edge_marl.agents.centralised.settings import (
    CentralisedConfig,
    HappoConfig,
    MappoConfig,
    MixingConfig,
    QmixConfig,
)
from edge_marl.agents.networks.sharing import ForEach, Networks
from edge_marl.agents.policy_agent import PolicyAgent
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = [
    "ByRow",
    "CentralisedAgent",
    "GatewayNetwork",
    "HappoAgent",
    "MappoAgent",
    "OwnNetworks",
    "QmixAgent",
    "VdnAgent",
    "make_network",
]


class GatewayNetwork(nn.Module):
    """One perceptron for all gateways: (..., G, inputs) -> (..., G, outputs).

    Args:
        inputs: features that a gateway sees.
        outputs: numbers per gateway: values or logits of its choices.
        gateways: number of gateways G.
        hidden: widths of the hidden layers.
    """

    ids: Tensor

    def __init__(self, inputs: int, outputs: int, gateways: int, hidden: tuple[int, ...]) -> None:
        super().__init__()
        self.shared = MultiAgentMLP(
            n_agent_inputs=inputs + gateways,
            n_agent_outputs=outputs,
            n_agents=gateways,
            centralized=False,
            share_params=True,
            depth=len(hidden),
            num_cells=list(hidden),
            activation_class=nn.ReLU,
        )
        self.register_buffer("ids", torch.eye(gateways), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Return values or logits (..., G, outputs) of observations (..., G, inputs)."""
        ids = self.ids.expand(*observation.shape[:-1], -1)
        values: Tensor = self.shared(torch.cat([observation, ids], dim=-1))
        return values


class OwnNetworks(nn.Module):
    """Several perceptrons: (..., G, inputs) -> (..., G, outputs); none is told which gateway it is.

    Args:
        networks: which of them decides.
        inputs: as `GatewayNetwork`, like the others.
        outputs: see there.
        gateways: see there.
        hidden: see there.
    """

    ids: Tensor

    def __init__(
        self,
        networks: Networks,
        inputs: int,
        outputs: int,
        gateways: int,
        hidden: tuple[int, ...],
    ) -> None:
        super().__init__()
        self._networks = networks
        self.count = networks.count
        """How many there are."""

        def make() -> nn.Module:
            network: nn.Module = MLP(
                inputs, outputs, num_cells=list(hidden), activation_class=nn.ReLU
            )
            return network

        self.each = ForEach(make, networks.count)
        self.register_buffer("ids", torch.arange(gateways), persistent=False)

    def forward(self, observation: Tensor) -> Tensor:
        """Return values or logits (..., G, outputs) of observations (..., G, inputs)."""
        rows, which = observation.flatten(0, -2), self.whose(observation).flatten()
        return self.each(rows, which).unflatten(0, observation.shape[:-1])  # type: ignore[no-any-return]

    def whose(self, observation: Tensor) -> Tensor:
        """Return which network decides (..., G) on observations (..., G, inputs)."""
        gateway = self.ids.expand(observation.shape[:-1])
        which = self._networks.of(observation.flatten(0, -2), gateway.flatten())
        return which.view(gateway.shape)


class ByRow(nn.Module):
    """A gateways' network on rows: row i is gateway i mod G, as in (E, G, ...) flattened.

    In the single environment nobody says whose task is shown; there a row stands for one gateway's
    policy. Masks are (B, S * V), or (B, S * V + 1) in the multi-agent game.

    Args:
        network: the network, or several: then each row says which of them decides.
    """

    def __init__(self, network: GatewayNetwork | OwnNetworks) -> None:
        super().__init__()
        self.network = network

    def forward(self, observation: Tensor, mask: Tensor, *which: Tensor) -> Tensor:
        """Return scores (B, as wide as the mask), minus infinity where the mask forbids."""
        if isinstance(self.network, OwnNetworks):
            own: Tensor = self.network.each(observation, *which)
            return own[:, : mask.shape[-1]].masked_fill(~mask, -torch.inf)
        rows, gateways = len(observation), len(self.network.ids)
        missing = -rows % gateways
        padded = nn.functional.pad(observation, (0, 0, 0, missing))
        scores: Tensor = self.network(padded.view(-1, gateways, padded.shape[-1])).flatten(0, 1)
        return scores[:rows, : mask.shape[-1]].masked_fill(~mask, -torch.inf)


class CentralisedAgent(PolicyAgent[Any]):
    """The shared policy of all gateways: the legal choice with the highest score."""

    config_class: ClassVar[Any]
    deterministic = True
    stateless = False  # the number of a row says whose it is
    packages: ClassVar[tuple[str, ...]] = ("tensordict", "torchrl")

    @classmethod
    def build_actor(cls, scenario: Scenario, config: CentralisedConfig) -> ByRow:
        """Return an untrained network on rows."""
        return ByRow(make_network(scenario, config))


def make_network(scenario: Scenario, config: CentralisedConfig) -> GatewayNetwork | OwnNetworks:
    """Return an untrained network for a scenario's gateways, S * V + 1 outputs each."""
    sizes = (
        ObservationLayout(scenario).size,
        scenario.num_actions + 1,
        scenario.gateways.count,
        config.hidden,
    )
    networks = Networks(scenario, config)
    return GatewayNetwork(*sizes) if networks.count == 1 else OwnNetworks(networks, *sizes)


class VdnAgent(CentralisedAgent):
    """Acts by the shared network that VDN trained."""

    name = "vdn"
    config_class: ClassVar[Any] = MixingConfig


class QmixAgent(CentralisedAgent):
    """Acts by the shared network that QMIX trained."""

    name = "qmix"
    config_class: ClassVar[Any] = QmixConfig


class MappoAgent(CentralisedAgent):
    """Acts by the most probable choice of the policy that MAPPO trained."""

    name = "mappo"
    config_class: ClassVar[Any] = MappoConfig


class HappoAgent(CentralisedAgent):
    """Acts by the most probable choice of the policy of its gateway that HAPPO trained."""

    name = "happo"
    config_class: ClassVar[Any] = HappoConfig
