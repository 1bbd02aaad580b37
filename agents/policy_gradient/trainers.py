"""The trainers of `ppo`, `a2c` and `reinforce`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.policy_gradient.settings import A2cConfig, PpoConfig, ReinforceConfig
from edge_marl.agents.registry import register

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["A2cTrainer", "PpoTrainer", "ReinforceTrainer"]


@register("ppo")
class PpoTrainer(TianshouTrainer):
    """Proximal policy optimisation (arXiv:1707.06347), masked; Tianshou's."""

    config_class = PpoConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.policy_gradient.agents import PpoAgent

        return PpoAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.policy_gradient.ppo import make_learner

        return make_learner


@register("a2c")
class A2cTrainer(TianshouTrainer):
    """Synchronous advantage actor-critic (arXiv:1602.01783), masked; Tianshou's."""

    config_class = A2cConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.policy_gradient.agents import A2cAgent

        return A2cAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.policy_gradient.a2c import make_learner

        return make_learner


@register("reinforce")
class ReinforceTrainer(TianshouTrainer):
    """Monte-Carlo policy gradient (Williams 1992), masked; Tianshou's."""

    config_class = ReinforceConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.policy_gradient.agents import ReinforceAgent

        return ReinforceAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.policy_gradient.reinforce import make_learner

        return make_learner
