"""VDN: the team's value is the sum of the gateways' values.

    Q_tot(o, a) = Q_1(o_1, a_1) + ... + Q_G(o_G, a_G)

(Sunehag et al. 2018, arXiv:1706.05296; `torchrl.modules.VDNMixer`.) The mixer knows no state: the
gateways learn from the team's reward alone. The loss is in `mixing.py`.
"""

from __future__ import annotations

from torchrl.modules import VDNMixer

from edge_marl.agents.centralised.agents import GatewayNetwork
from edge_marl.agents.centralised.mixing import MixingLearner
from edge_marl.agents.centralised.settings import MixingConfig
from edge_marl.scenario import Scenario

__all__ = ["make_learner", "make_vdn_mixer"]


def make_vdn_mixer(gateways: int) -> VDNMixer:
    """Return the sum over gateways."""
    return VDNMixer(n_agents=gateways, device="cpu")


def make_learner(
    scenario: Scenario, config: MixingConfig, network: GatewayNetwork, _: int
) -> MixingLearner:
    """Return an untrained learner (see `MakeLearner` in `shared.py`)."""
    return MixingLearner(network, make_vdn_mixer(scenario.gateways.count), False, config)
