"""The trainers of `ippo`, `idqn` and `iadsac`: agents of other families, in the game of gateways.

Their settings and defaults are those of `ppo`, `dqn` and `adsac`, chosen for these on `train` and
`validation` workloads of `paper`, world 0, never on test workloads. An environment is there one
with all its gateways, and of `ippo` and `iadsac` `batch_size` counts transitions with a decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_marl.agents.independent.settings import IadsacConfig, IppoConfig
from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.value_based.settings import DqnConfig

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["IadsacTrainer", "IdqnTrainer", "IppoTrainer"]


@register("ippo")
class IppoTrainer(TianshouTrainer):
    """Independent PPO (arXiv:2011.09533), masked, a network for all or one for each."""

    config_class = IppoConfig
    api = "parallel"

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.independent.agents import IppoAgent

        return IppoAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.independent.ippo import make_learner

        return make_learner


@register("idqn")
class IdqnTrainer(TianshouTrainer):
    """Independent double DQN (arXiv:1509.06461), one masked network for all; Tianshou's."""

    config_class = DqnConfig
    api = "parallel"

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.independent.agents import IdqnAgent

        return IdqnAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.independent.idqn import make_learner

        return make_learner


@register("iadsac")
class IadsacTrainer(TianshouTrainer):
    """Independent ADSAC: `adsac` trained in the game of gateways, one policy for all or not."""

    config_class = IadsacConfig
    api = "parallel"

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.independent.agents import IadsacAgent

        return IadsacAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.independent.iadsac import make_learner

        return make_learner
