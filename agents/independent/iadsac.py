"""`iadsac`: the diffusion soft actor-critic on every gateway's own transitions.

One policy, with its critics and temperature, decides for all gateways, or one for each or for each
role.

Networks, losses and settings are those of `adsac`; with one gateway so is the training. With more,

* a gateway's reward is the mean over gateways, a G-th of what the team earns. The critics answer
  for the team and are divided by G, and the temperature starts at a G-th of the setting, so that
  the settings mean what they mean for `adsac`;
* doing nothing is one more action. Only gateways without a task take it, and they take no other, so
  its Q is their state's value: that of the task's token, which then shows none;
* most transitions are of gateways without a task. They teach the critics only, and a batch drawn
  uniformly would be full of them.

`paper` with ten gateways, 48,000 decisions, one seed, validation workloads: 1.31 per task; 1.27
with critics that are not divided; 1.28 with uniform batches, 1.30 with such of twice the size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edge_marl.agents.independent.agents import IadsacAgent
from edge_marl.agents.networks.attention import TokenCritic
from edge_marl.agents.networks.pair_tokens import PairTokenCritic
from edge_marl.agents.networks.priors import Prior, prior_of
from edge_marl.agents.networks.sharing import Networks, network_for
from edge_marl.agents.on_tianshou.on_batch import GatewayActor
from edge_marl.agents.on_tianshou.replay_buffer import UniformReplay, replay_size
from edge_marl.agents.soft_actor_critic.losses import SacLearner
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig
from edge_marl.envs.spaces import gateway_action_space
from edge_marl.layout import ObservationLayout
from edge_marl.scenario import Scenario

__all__ = ["GatewayCritic", "GatewayPairCritic", "GatewayReplay", "make_learner"]


class GatewayCritic(TokenCritic):
    """Q of a gateway's choices, the last of which is to do nothing.

    Args:
        layout: of the observations.
        width: of the tokens.
        gateways: number of gateways that rewards are the mean over.
    """

    def __init__(self, layout: ObservationLayout, width: int, gateways: int) -> None:
        super().__init__(layout, width)
        self._gateways = gateways

    def forward(self, observation: Tensor) -> Tensor:
        """Return (B, A + 1) for observations (B, D)."""
        value, pairs = self.parts(observation)
        return torch.cat([value + pairs, value], dim=1) / self._gateways


class GatewayPairCritic(PairTokenCritic):
    """The same over legal (server, service) pairs.

    Args:
        scenario: the world.
        width: of the tokens.
        attention: whether tokens see each other.
        prior: what Q of the team begins with.
    """

    sees = ""

    def __init__(
        self, scenario: Scenario, width: int, *, attention: bool, prior: Prior | None
    ) -> None:
        super().__init__(scenario, width, attention=attention, prior=prior)
        self._gateways = scenario.gateways.count

    def see(self, observation: Tensor, mask: Tensor, *gateway: Tensor) -> dict[str, Tensor]:
        """Return what there is to see, given the mask (B, A + 1) of a gateway's choices."""
        return super().see(observation, mask[:, :-1], *gateway)

    def judge(self, seen: Mapping[str, Tensor]) -> Tensor:
        """Return (B, A + 1)."""
        value, pairs = self.parts(seen)
        return torch.cat([pairs, value], dim=1) / self._gateways


class GatewayReplay(UniformReplay):
    """A replay buffer whose batches are not drowned in steps without a task."""

    def sample_indices(self, batch_size: int | None) -> npt.NDArray[np.int64]:
        """Return the places of `batch_size` decisions and of at most as many steps without a task.

        Each kind is drawn uniformly, with replacement.
        """
        if not batch_size:
            return super().sample_indices(batch_size)
        deciding: list[npt.NDArray[np.int64]] = []
        idle: list[npt.NDArray[np.int64]] = []
        while (missing := batch_size - sum(map(len, deciding))) > 0:
            drawn = super().sample_indices(batch_size)
            has_task = ~self.obs.mask[drawn, -1]
            deciding.append(drawn[has_task][:missing])
            idle.append(drawn[~has_task])
        return np.concatenate([*deciding, np.concatenate(idle)[:batch_size]])


def make_learner(
    scenario: Scenario,
    config: AdsacConfig,
    rows: int,
    budget: int,
    for_replay: np.random.SeedSequence,
) -> SacLearner:
    """Return an untrained learner (see `on_tianshou/loop.py:MakeLearner`)."""
    gateways = scenario.gateways.count

    def make_critic() -> nn.Module:
        if config.network == "pairs":
            prior = prior_of(scenario, config, temperature=1.0)
            return GatewayPairCritic(
                scenario, config.width, attention=config.attention, prior=prior
            )
        return GatewayCritic(ObservationLayout(scenario), config.width, gateways)

    actor = IadsacAgent.build_actor(scenario, config)
    size = replay_size(config.buffer_size, rows, budget, gateways)
    return SacLearner(
        gateway_action_space(scenario),
        replace(config, initial_log_alpha=config.initial_log_alpha - math.log(gateways)),
        GatewayActor(actor),
        lambda: network_for(scenario, config, make_critic),
        GatewayReplay(size, rows, for_replay),
        budget,
        acts=actor,
        networks=Networks(scenario, config).count,
    )
