"""QMIX: the team's value rises in each gateway's value, in a way that depends on the state.

    Q_tot = w_2(s) . elu(W_1(s) Q + b_1(s)) + b_2(s),    W_1, w_2 >= 0

with Q the gateways' values of their choices, and weights and biases from networks of the state s
(Rashid et al. 2018, arXiv:1803.11485; `torchrl.modules.QMixer`). The loss is in `mixing.py`; it
takes the target's own best choice, as the paper does, and not the double estimate of later codes.
"""

from __future__ import annotations

from typing import Any, ClassVar

from torchrl.modules import QMixer

from edge_marl.agents.base import Progress
from edge_marl.agents.centralised import CentralisedAgent
from edge_marl.agents.centralised_trainers import QmixConfig
from edge_marl.agents.mixing import train_by_mixing
from edge_marl.scenario import Scenario

__all__ = ["QmixAgent", "make_qmix_mixer", "train_qmix"]


class QmixAgent(CentralisedAgent):
    """Acts by the shared network that QMIX trained."""

    name = "qmix"
    config_class: ClassVar[Any] = QmixConfig


def make_qmix_mixer(gateways: int, state_size: int, width: int) -> QMixer:
    """Return an untrained monotonic mixer."""
    return QMixer(
        state_shape=(state_size,), mixing_embed_dim=width, n_agents=gateways, device="cpu"
    )


def train_qmix(
    scenario: Scenario, config: QmixConfig, budget: int, seed: int, progress: Progress
) -> QmixAgent:
    """Return an agent trained by QMIX (see `Trainer.train`)."""

    def make_mixer(state_size: int) -> QMixer:
        return make_qmix_mixer(scenario.gateways.count, state_size, config.mixer_width)

    actor = train_by_mixing(scenario, config, make_mixer, True, budget, seed, progress)
    return QmixAgent(scenario, config, actor)
