"""The trainers of `adsac-published` and `d2sac`."""

from __future__ import annotations

from edge_marl.agents.on_tianshou.trainer import TianshouRecipe, TianshouTrainer
from edge_marl.agents.published_diffusion.settings import PublishedConfig
from edge_marl.agents.registry import register
from edge_marl.agents.training.trainer import Recipe

__all__ = ["AdsacPublishedTrainer", "D2sacTrainer"]


@register("adsac-published")
class AdsacPublishedTrainer(TianshouTrainer):
    """ADSAC as its code was published: attention over the batch, dropout in the targets."""

    config_class = PublishedConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.published_diffusion.adsac_published import (
            AdsacPublishedAgent,
            make_learner,
        )

        return Recipe(AdsacPublishedAgent, make_learner)


@register("d2sac")
class D2sacTrainer(TianshouTrainer):
    """Diffusion soft actor-critic with perceptrons (AGOD, arXiv:2301.03220), as published."""

    config_class = PublishedConfig

    @classmethod
    def _recipe(cls) -> TianshouRecipe:
        from edge_marl.agents.published_diffusion.d2sac import D2sacAgent, make_learner

        return Recipe(D2sacAgent, make_learner)
