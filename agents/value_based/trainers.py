"""The trainers of `dqn`, `drqn`, `qrdqn` and `rainbow`."""

from __future__ import annotations

from edge_marl.agents.on_tianshou.trainer import TianshouRecipe, TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.training.trainer import Recipe
from edge_marl.agents.value_based.settings import DqnConfig, DrqnConfig, QrdqnConfig, RainbowConfig

__all__ = ["DqnTrainer", "DrqnTrainer", "QrdqnTrainer", "RainbowTrainer"]


@register("dqn")
class DqnTrainer(TianshouTrainer):
    """Double deep Q-network (arXiv:1509.06461), masked; Tianshou's."""

    config_class = DqnConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.value_based.dqn import DqnAgent, make_learner

        return Recipe(DqnAgent, make_learner)


@register("drqn")
class DrqnTrainer(TianshouTrainer):
    """Deep recurrent Q-network: an LSTM over the last observations (arXiv:1507.06527)."""

    config_class = DrqnConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.value_based.drqn import DrqnAgent, make_learner

        return Recipe(DrqnAgent, make_learner)


@register("qrdqn")
class QrdqnTrainer(TianshouTrainer):
    """Quantile-regression DQN (Dabney et al. 2018, arXiv:1710.10044), masked; Tianshou's."""

    config_class = QrdqnConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.value_based.qrdqn import QrdqnAgent, make_learner

        return Recipe(QrdqnAgent, make_learner)


@register("rainbow")
class RainbowTrainer(TianshouTrainer):
    """Rainbow (Hessel et al. 2018, arXiv:1710.02298), masked; Tianshou's."""

    config_class = RainbowConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.value_based.rainbow import RainbowAgent, make_learner

        return Recipe(RainbowAgent, make_learner)
