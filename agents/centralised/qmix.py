"""QMIX: the team's value rises in each gateway's value, in a way that depends on the state.

    Q_tot = w_2(s) . elu(W_1(s) Q + b_1(s)) + b_2(s),    W_1, w_2 >= 0

with Q the gateways' values of their choices, and weights and biases from networks of the state s
(Rashid et al. 2018, arXiv:1803.11485; `torchrl.modules.QMixer`). The loss is in `mixing.py`; it
takes the target's own best choice, as the paper does, and not the double estimate of later codes.
"""

from __future__ import annotations

from torchrl.modules import QMixer

from edge_marl.agents.centralised.agents import GatewayNetwork
from edge_marl.agents.centralised.mixing import MixingLearner
from edge_marl.agents.centralised.settings import QmixConfig
from edge_marl.scenario import Scenario

__all__ = ["make_learner", "make_qmix_mixer"]


def make_qmix_mixer(gateways: int, state_size: int, width: int) -> QMixer:
    """Return an untrained monotonic mixer."""
    return QMixer(
        state_shape=(state_size,), mixing_embed_dim=width, n_agents=gateways, device="cpu"
    )


def make_learner(
    scenario: Scenario, config: QmixConfig, network: GatewayNetwork, state_size: int
) -> MixingLearner:
    """Return an untrained learner (see `MakeLearner` in `shared.py`)."""
    mixer = make_qmix_mixer(scenario.gateways.count, state_size, config.mixer_width)
    return MixingLearner(network, mixer, True, config)
