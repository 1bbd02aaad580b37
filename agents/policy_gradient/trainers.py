"""The trainers of `ppo`, `a2c` and `reinforce`."""

from __future__ import annotations

from edge_marl.agents.on_tianshou.trainer import TianshouRecipe, TianshouTrainer
from edge_marl.agents.policy_gradient.settings import A2cConfig, PpoConfig, ReinforceConfig
from edge_marl.agents.registry import register
from edge_marl.agents.training.trainer import Recipe

__all__ = ["A2cTrainer", "PpoTrainer", "ReinforceTrainer"]


@register("ppo")
class PpoTrainer(TianshouTrainer):
    """Proximal policy optimisation (arXiv:1707.06347), masked; Tianshou's."""

    config_class = PpoConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.policy_gradient.ppo import PpoAgent, make_learner

        return Recipe(PpoAgent, make_learner)


@register("a2c")
class A2cTrainer(TianshouTrainer):
    """Synchronous advantage actor-critic (arXiv:1602.01783), masked; Tianshou's."""

    config_class = A2cConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.policy_gradient.a2c import A2cAgent, make_learner

        return Recipe(A2cAgent, make_learner)


@register("reinforce")
class ReinforceTrainer(TianshouTrainer):
    """Monte-Carlo policy gradient (Williams 1992), masked; Tianshou's."""

    config_class = ReinforceConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.policy_gradient.reinforce import ReinforceAgent, make_learner

        return Recipe(ReinforceAgent, make_learner)
