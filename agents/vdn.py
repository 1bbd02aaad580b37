"""VDN: the team's value is the sum of the gateways' values.

    Q_tot(o, a) = Q_1(o_1, a_1) + ... + Q_G(o_G, a_G)

(Sunehag et al. 2018, arXiv:1706.05296; `torchrl.modules.VDNMixer`.) The mixer knows no state: the
gateways learn from the team's reward alone. The loss is in `mixing.py`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torchrl.modules import VDNMixer

from edge_marl.agents.base import Progress
from edge_marl.agents.centralised import CentralisedAgent
from edge_marl.agents.centralised_trainers import MixingConfig
from edge_marl.agents.mixing import train_by_mixing
from edge_marl.scenario import Scenario

__all__ = ["VdnAgent", "make_vdn_mixer", "train_vdn"]


class VdnAgent(CentralisedAgent):
    """Acts by the shared network that VDN trained."""

    name = "vdn"
    config_class: ClassVar[Any] = MixingConfig


def make_vdn_mixer(gateways: int) -> VDNMixer:
    """Return the sum over gateways."""
    return VDNMixer(n_agents=gateways, device="cpu")


def train_vdn(
    scenario: Scenario, config: MixingConfig, budget: int, seed: int, progress: Progress
) -> VdnAgent:
    """Return an agent trained by VDN (see `Trainer.train`)."""

    def make_mixer(_: int) -> VDNMixer:
        return make_vdn_mixer(scenario.gateways.count)

    actor = train_by_mixing(scenario, config, make_mixer, False, budget, seed, progress)
    return VdnAgent(scenario, config, actor)
