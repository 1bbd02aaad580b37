"""The trainers of `sac` and `adsac`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_marl.agents.on_tianshou.trainer import TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig, SacConfig

if TYPE_CHECKING:
    from edge_marl.agents.on_tianshou.loop import MakeLearner

__all__ = ["AdsacTrainer", "SacTrainer"]


@register("sac")
class SacTrainer(TianshouTrainer):
    """Discrete soft actor-critic (Christodoulou 2019, arXiv:1910.07207), Tianshou's."""

    config_class = SacConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.soft_actor_critic.agents import SacAgent

        return SacAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.soft_actor_critic.sac import make_learner

        return make_learner


@register("adsac")
class AdsacTrainer(TianshouTrainer):
    """Attention-based diffusion soft actor-critic: the ADSAC paper's method, over tokens."""

    config_class = AdsacConfig

    @classmethod
    def _agent(cls) -> type[Any]:
        from edge_marl.agents.soft_actor_critic.agents import AdsacAgent

        return AdsacAgent

    @classmethod
    def _make_learner(cls) -> MakeLearner:
        from edge_marl.agents.soft_actor_critic.adsac import make_learner

        return make_learner
