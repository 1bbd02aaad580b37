"""The trainers of `dqn`, `drqn`, `qrdqn` and `rainbow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.value_based.settings import DqnConfig, DrqnConfig, QrdqnConfig, RainbowConfig

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["DqnTrainer", "DrqnTrainer", "QrdqnTrainer", "RainbowTrainer"]


@register("dqn")
class DqnTrainer(TianshouTrainer):
    """Double deep Q-network (arXiv:1509.06461), masked; Tianshou's."""

    config_class = DqnConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.value_based.agents import DqnAgent

        return DqnAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.value_based.dqn import make_learner

        return make_learner


@register("drqn")
class DrqnTrainer(TianshouTrainer):
    """Deep recurrent Q-network: an LSTM over the last observations (arXiv:1507.06527)."""

    config_class = DrqnConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.value_based.agents import DrqnAgent

        return DrqnAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.value_based.drqn import make_learner

        return make_learner


@register("qrdqn")
class QrdqnTrainer(TianshouTrainer):
    """Quantile-regression DQN (Dabney et al. 2018, arXiv:1710.10044), masked; Tianshou's."""

    config_class = QrdqnConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.value_based.agents import QrdqnAgent

        return QrdqnAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.value_based.qrdqn import make_learner

        return make_learner


@register("rainbow")
class RainbowTrainer(TianshouTrainer):
    """Rainbow (Hessel et al. 2018, arXiv:1710.02298), masked; Tianshou's."""

    config_class = RainbowConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.value_based.agents import RainbowAgent

        return RainbowAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.value_based.rainbow import make_learner

        return make_learner
