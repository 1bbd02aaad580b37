"""The trainers of `sac` and `adsac`."""

from __future__ import annotations

from edge_marl.agents.on_tianshou.trainer import TianshouRecipe, TianshouTrainer
from edge_marl.agents.registry import register
from edge_marl.agents.soft_actor_critic.settings import AdsacConfig, SacConfig
from edge_marl.agents.training.trainer import Recipe

__all__ = ["AdsacTrainer", "SacTrainer"]


@register("sac")
class SacTrainer(TianshouTrainer):
    """Discrete soft actor-critic (Christodoulou 2019, arXiv:1910.07207), Tianshou's."""

    config_class = SacConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.soft_actor_critic.sac import SacAgent, make_learner

        return Recipe(SacAgent, make_learner)


@register("adsac")
class AdsacTrainer(TianshouTrainer):
    """Attention-based diffusion soft actor-critic: the ADSAC paper's method, over tokens."""

    config_class = AdsacConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.soft_actor_critic.adsac import AdsacAgent, make_learner

        return Recipe(AdsacAgent, make_learner)
